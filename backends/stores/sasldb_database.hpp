// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct __db;     // DB in <db.h>
struct __db_dbt; // DBT

/// The password database of Cyrus SASL as Debian has it: /etc/sasldb2, a Berkeley DB hash file.
///
/// One entry is a user, a realm and a property. The property userPassword holds the password as it is;
/// posternArgon2id, a property of our own, holds its hash instead, and nothing of Cyrus SASL takes that for a
/// password. Where a user has both, userPassword counts: saslpasswd2 knows of no other, so it is the newer
/// one. Other properties are somebody else's: never read here, never lost.
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

/// What reader and writer share, and nobody else needs.
namespace sasldb {

/// Throws SasldbError.
[[noreturn]] void fail(const std::string& path, const std::string& problem);
/// The same, with errno's text behind `doing`.
[[noreturn]] void fail_errno(const std::string& path, const std::string& doing);
/// An error of libdb in words.
[[nodiscard]] std::string database_problem(int error);

inline constexpr std::string_view password_property = "userPassword";
inline constexpr std::string_view argon2id_property = "posternArgon2id";

/// The name of an entry in the file.
[[nodiscard]] std::string entry_key(std::string_view user, std::string_view realm, std::string_view property);
[[nodiscard]] bool has_nul(std::string_view text);

/// What tells one state of a file from the next, as far as stat(2) knows.
struct FileStamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    std::chrono::nanoseconds modified{};
    std::chrono::nanoseconds changed{};

    bool operator==(const FileStamp&) const = default;
};

[[nodiscard]] FileStamp make_stamp(const struct stat& status);
/// Of the file that the path leads to now; nothing when there is none.
[[nodiscard]] std::optional<FileStamp> stamp_of(const std::string& path);

/// Not open, with errno, when it cannot be.
[[nodiscard]] UniqueFd open_readable(const std::string& path);
/// Refuses what cannot be a database, before libdb sees it.
[[nodiscard]] FileStamp examine(const std::string& path, int fd);
/// Whether libdb will find its way through the file: 0, or its error.
[[nodiscard]] int verify(const std::string& path, off_t size);

struct CloseDatabase {
    void operator()(__db* database) const noexcept;
};

using Database = std::unique_ptr<__db, CloseDatabase>;

/// Not open yet. `path` is for the text of an error.
[[nodiscard]] Database make_database(const std::string& path);
/// 0, or libdb's error.
[[nodiscard]] int open_database(__db& database, const std::string& path, std::uint32_t flags);

/// Bytes lent to libdb.
[[nodiscard]] __db_dbt input(std::string_view bytes);
/// Where libdb puts at most so many bytes. How many there were, its user tells `secret` (resize).
[[nodiscard]] __db_dbt output(Secret& secret, std::size_t bytes_max);

} // namespace sasldb

} // namespace postern
