// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

/// The password database of Cyrus SASL as Debian has it: /etc/sasldb2, a Berkeley DB hash file.
///
/// One entry is a user, a realm and a property; the property userPassword holds the password as it is.
/// Other properties are somebody else's: never read here, never lost.
namespace postern {

/// The longest password that Cyrus SASL reads back.
inline constexpr std::size_t sasldb_password_bytes_max = 1024;

/// The database cannot be used: missing, unreadable, damaged, locked. The text names the file and the
/// problem, and holds no password.
class SasldbError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The realm of a login that names none: the host's own name. Throws std::system_error.
[[nodiscard]] std::string sasldb_default_realm();

/// Looks passwords up in a sasldb that others may change or replace at any time.
///
/// Keeps the file open from one look-up to the next and still sees every change at once: the file is
/// examined (stat) before each. It takes no lock, since the tools of Cyrus SASL take none either, and keeps
/// no password itself; libdb keeps the pages it has read until the file is closed.
class SasldbReader {
public:
    using WallClock = std::function<std::chrono::system_clock::time_point()>;

    /// Opens nothing yet. `wall_clock` is what the file's times are compared with.
    explicit SasldbReader(std::string path, WallClock wall_clock = std::chrono::system_clock::now);
    SasldbReader(SasldbReader&&) = delete;
    ~SasldbReader();

    /// The password of `user` in `realm`, byte for byte and case for case; nothing when there is none.
    /// Throws SasldbError when the database cannot be asked, std::bad_alloc when `secrets` has no slot left.
    [[nodiscard]] std::optional<Secret> password(std::string_view user, std::string_view realm,
                                                 SecretArena& secrets);

    /// How often the file was opened: what a look-up costs when it is not a cheap one.
    [[nodiscard]] std::size_t times_opened() const noexcept { return times_opened_; }

private:
    struct OpenFile;

    struct LookUp {
        int error = 0; ///< libdb's
        std::optional<Secret> password;
    };

    [[nodiscard]] bool is_current() const;
    [[nodiscard]] int reopen();
    [[nodiscard]] LookUp look_up(std::string_view key, SecretArena& secrets);

    std::string path_;
    WallClock wall_clock_;
    std::unique_ptr<OpenFile> file_; ///< null: not open
    std::size_t times_opened_ = 0;
};

enum class SasldbChange : std::uint8_t { created, changed };

/// Gives `user` in `realm` that password, in a database that is made when there is none.
///
/// The file is replaced whole: readers see the old one or the new one, and an error leaves the old one as it
/// was. Owner, mode, access list and every other entry are kept. Writers of ours wait for each other, for
/// `patience` at most. saslpasswd2 takes no lock: what it has written is kept, but it loses its change when
/// it is writing to the old file at the very moment in which the new one takes its place. A symbolic link
/// stays, its target is replaced. Throws SasldbError.
SasldbChange set_sasldb_password(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password,
                                 std::chrono::milliseconds patience = std::chrono::seconds{5});

} // namespace postern
