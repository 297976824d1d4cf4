// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <sys/stat.h>

#include <array>
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

/// The password database of Cyrus SASL: /etc/sasldb2, a Berkeley DB hash file as Debian has it, or an LMDB
/// file (lmdb_snapshot.hpp) as newer builds make it.
///
/// One entry is a user, a realm and a property. The property userPassword holds the password as it is;
/// authPassword, which the plug-in scram of Cyrus SASL reads and may write, a SCRAM verifier
/// (scram_verifier.hpp), one and no more; posternArgon2id, a property of our own, an Argon2id hash, and
/// nothing of Cyrus SASL takes that for a password. Where a user has several, the first of these counts: the
/// plug-in does not look at authPassword beside userPassword, and Postern, which alone writes the last,
/// removes the others, so that they are newer. That holds for an authPassword too in which there is nothing
/// that we know, and for a userPassword of no bytes, which is nobody's password. Passwords that libsasl2 of
/// old kept for single mechanisms (cmusaslsecret…) are not read here, but go with the others, as saslpasswd2
/// has it. Other properties are somebody else's: never read here, never lost.
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
inline constexpr std::string_view scram_property = "authPassword";
inline constexpr std::string_view argon2id_property = "posternArgon2id";

/// All in which libsasl2 or Postern may find a password of a user.
inline constexpr std::array password_properties{
    password_property,
    scram_property,
    argon2id_property,
    std::string_view{"cmusaslsecretCRAM-MD5"},
    std::string_view{"cmusaslsecretDIGEST-MD5"},
    std::string_view{"cmusaslsecretPLAIN"},
};

/// The name of an entry in the file.
[[nodiscard]] std::string entry_key(std::string_view user, std::string_view realm, std::string_view property);

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

/// Where an access list lives.
inline constexpr const char* access_list_attribute = "system.posix_acl_access";

/// Of a new file, whose directory may have given it one (acl(5), default): as long as there is one, the
/// group's bits of the mode say what everybody in it may do.
void remove_access_list(const std::string& path, int fd);

enum class SasldbFormat : std::uint8_t { berkeley, lmdb };

struct Examined {
    FileStamp stamp;
    SasldbFormat format = SasldbFormat::berkeley;
};

/// Refuses what cannot be a database, before any library sees it.
[[nodiscard]] Examined examine(const std::string& path, int fd);
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
