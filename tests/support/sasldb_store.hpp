// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/stores/password_hash.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"
#include "backends/stores/sasldb_writer.hpp"
#include "backends/stores/scram_verifier.hpp"
#include "base/posix_error.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
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

    /// What is stored of the user: the password as it is, its verifier or its hash.
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

    [[nodiscard]] bool has_verifier_of(const std::string& user, const std::string& password)
    {
        const auto found = reader.credential(user, "example.org", secrets);
        if (!found || found->form != SasldbCredential::Form::scram)
            return false;
        const auto verifier = ScramVerifier::parse(found->bytes.view());
        return verifier && verifier->matches(Secret{secrets, password});
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

    SasldbChange set_scram(const std::string& user, const std::string& password,
                           const std::string& realm = "example.org")
    {
        return set_sasldb_scram(file, user, realm, Secret{secrets, password});
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

inline mode_t mode_of(const std::string& path)
{
    return status_of(path).st_mode & 07777U;
}

/// As setfacl -m u:12345:r writes it (linux/posix_acl_xattr.h): a version, then a tag, rights and an id each.
inline std::string access_list()
{
    struct Entry {
        std::uint16_t tag;
        std::uint16_t rights;
        std::uint32_t id;
    };

    constexpr std::uint32_t version = 2;
    constexpr std::array entries{Entry{0x01, 6, UINT32_MAX}, Entry{0x02, 4, 12345},
                                 Entry{0x04, 4, UINT32_MAX}, Entry{0x10, 4, UINT32_MAX},
                                 Entry{0x20, 0, UINT32_MAX}};
    std::string list(sizeof version + sizeof entries, '\0');
    std::memcpy(list.data(), &version, sizeof version);
    std::memcpy(list.data() + sizeof version, entries.data(), sizeof entries);
    return list;
}

/// Sets an attribute: the list of a file, or that for whatever is made in a directory ("…_default").
inline void give_access_list(const std::string& path, const char* attribute)
{
    const std::string list = access_list();
    check(::setxattr(path.c_str(), attribute, list.data(), list.size(), 0), "setxattr");
}

/// The access list of a file, empty when it has none.
inline std::string access_list_of(const std::string& path)
{
    std::string list(256, '\0');
    const ssize_t size = ::getxattr(path.c_str(), sasldb::access_list_attribute, list.data(), list.size());
    if (size < 0 && errno == ENODATA)
        return "";
    list.resize(static_cast<std::size_t>(check(size, "getxattr")));
    return list;
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
