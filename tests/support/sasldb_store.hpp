// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/stores/password_hash.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"
#include "backends/stores/sasldb_writer.hpp"
#include "base/posix_error.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

/// A sasldb of a test's own, its reader and its writer, and what can be done to its file.
namespace postern {

struct Store {
    TemporaryDirectory directory;
    std::string file = directory.file("sasldb2");
    SecretArena secrets{2048, 4};
    SasldbReader reader{file};

    /// What is stored of the user: the password as it is, or its hash.
    std::optional<std::string> password(const std::string& user, const std::string& realm = "example.org")
    {
        const auto found = reader.credential(user, realm, secrets);
        return found ? std::optional{std::string{found->bytes.view()}} : std::nullopt;
    }

    [[nodiscard]] bool has_hash_of(const std::string& user, const std::string& password)
    {
        const auto found = reader.credential(user, "example.org", secrets);
        return found && found->form == SasldbCredential::Form::argon2id &&
               argon2id_matches(found->bytes.view(), Secret{secrets, password});
    }

    SasldbChange set(const std::string& user, const std::string& password,
                     const std::string& realm = "example.org")
    {
        return set_sasldb_password(file, user, realm, Secret{secrets, password});
    }

    SasldbChange set_argon2id(const std::string& user, const std::string& password,
                              const std::string& realm = "example.org")
    {
        return set_sasldb_argon2id(file, user, realm, Secret{secrets, password});
    }

    [[nodiscard]] bool remove(const std::string& user, const std::string& realm = "example.org") const
    {
        return delete_sasldb_password(file, user, realm);
    }

    /// What is in the directory, to find what was left behind.
    [[nodiscard]] std::size_t files() const
    {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator{directory.path()}, {}));
    }
};

inline std::string read_file(const std::string& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

inline void write_file(const std::string& path, std::string_view content)
{
    std::ofstream{path, std::ios::binary | std::ios::trunc} << content;
}

inline struct stat status_of(const std::string& path)
{
    struct stat status {};

    check(::stat(path.c_str(), &status), "stat");
    return status;
}

/// As somebody whom modes bind: not as root.
template <typename Work>
int as_nobody(Work work)
{
    const auto drop_root_and_work = [&] {
        if (::geteuid() == 0) {
            check(::setresgid(65534, 65534, 65534), "setresgid");
            check(::setresuid(65534, 65534, 65534), "setresuid");
        }
        return work();
    };
    return run_child("", drop_root_and_work).status;
}

template <typename Work>
std::string problem_of(Work work)
{
    try {
        work();
    } catch (const SasldbError& error) {
        return error.what();
    }
    return "none";
}

} // namespace postern
