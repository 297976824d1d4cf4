// SPDX-License-Identifier: BSD-2-Clause
//
// Berkeley DB without an environment: no locks, no log, no transactions, and several writers that know
// nothing of each other. Three ideas make it safe enough to authenticate against. How a reader sees every
// change is told in sasldb_reader.cpp, how a writer loses nothing in sasldb_writer.cpp; both need the third.
//
// Damage. libdb trusts its pages: offsets in a flipped one crash it, links lead it round in circles. Its own
// verifier does not, so every state of a file is verified once before it is asked anything. On the way libdb
// likes to print pages, passwords included; nobody listens.
#include "backends/stores/sasldb_database.hpp"

#include "backends/stores/lmdb_pages.hpp"
#include "base/host_name.hpp"

#include <db.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace postern {

std::string sasldb_default_realm()
{
    return host_name();
}

namespace sasldb {

using std::chrono::nanoseconds;

namespace {

nanoseconds since_epoch(const timespec& time)
{
    return std::chrono::seconds{time.tv_sec} + nanoseconds{time.tv_nsec};
}

/// Every Berkeley hash file has the number at that place, in the byte order of its maker.
bool has_hash_magic(int fd)
{
    std::array<unsigned char, 16> start{};
    if (::pread(fd, start.data(), start.size(), 0) != static_cast<ssize_t>(start.size()))
        return false;
    const std::array little{start[15], start[14], start[13], start[12]};
    const std::array big{start[12], start[13], start[14], start[15]};
    constexpr std::array<unsigned char, 4> magic{0x00, 0x06, 0x15, 0x61};
    return little == magic || big == magic;
}

bool has_lmdb_magic(int fd)
{
    std::array<char, lmdb_head_bytes> head{};
    return ::pread(fd, head.data(), head.size(), 0) == static_cast<ssize_t>(head.size()) &&
           is_lmdb_head({head.data(), head.size()});
}

} // namespace

void fail(const std::string& path, const std::string& problem)
{
    throw SasldbError{path + ": " + problem};
}

void fail_errno(const std::string& path, const std::string& doing)
{
    fail(path, doing + ": " + error_text(errno));
}

std::string database_problem(int error)
{
    if (error == DB_BUFFER_SMALL)
        return "an entry is longer than this program can hold";
    if (error == DB_VERIFY_BAD || error == DB_PAGE_NOTFOUND || error == DB_RUNRECOVERY)
        return "the database is damaged";
    return std::string{"the database cannot be used: "} + ::db_strerror(error);
}

std::string entry_key(std::string_view user, std::string_view realm, std::string_view property)
{
    std::string key{user};
    key.append(1, '\0').append(realm).append(1, '\0').append(property);
    return key;
}

FileStamp make_stamp(const struct stat& status)
{
    return {status.st_dev, status.st_ino, status.st_size, since_epoch(status.st_mtim),
            since_epoch(status.st_ctim)};
}

std::optional<FileStamp> stamp_of(const std::string& path)
{
    struct stat status {};

    if (::stat(path.c_str(), &status) != 0)
        return std::nullopt;
    return make_stamp(status);
}

UniqueFd open_readable(const std::string& path)
{
    return UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
}

void remove_access_list(const std::string& path, int fd)
{
    if (::fremovexattr(fd, access_list_attribute) != 0 && errno != ENODATA && errno != ENOTSUP)
        fail_errno(path, "the access list of its directory's files cannot be taken off");
}

Examined examine(const std::string& path, int fd)
{
    struct stat status {};

    if (::fstat(fd, &status) != 0)
        fail_errno(path, "cannot be examined");
    if (!S_ISREG(status.st_mode))
        fail(path, "is not a regular file");
    if (status.st_size == 0)
        fail(path, "is empty");
    if (has_hash_magic(fd))
        return {make_stamp(status), SasldbFormat::berkeley};
    if (has_lmdb_magic(fd))
        return {make_stamp(status), SasldbFormat::lmdb};
    fail(path, "is neither a Berkeley DB hash file nor an LMDB file");
}

int verify(const std::string& path, off_t size)
{
    constexpr off_t cache_bytes_min = 1 << 20;
    constexpr off_t cache_bytes_max = 1 << 28;
    const off_t cache_bytes =
        std::clamp(3 * size, cache_bytes_min, cache_bytes_max); // else it uses files in /var/tmp
    Database database = make_database(path);
    database->set_cachesize(database.get(), 0, static_cast<u_int32_t>(cache_bytes), 1);
    DB* const consumed = database.release();
    return consumed->verify(consumed, path.c_str(), nullptr, nullptr, 0);
}

void CloseDatabase::operator()(DB* database) const noexcept
{
    database->close(database, DB_NOSYNC);
}

Database make_database(const std::string& path)
{
    DB* database = nullptr;
    if (const int error = ::db_create(&database, nullptr, 0); error != 0)
        fail(path, database_problem(error));
    database->set_errcall(database, [](const DB_ENV*, const char*, const char*) {});
    database->set_msgcall(database, [](const DB_ENV*, const char*) {}); // whole pages, passwords and all
    return Database{database};
}

int open_database(DB& database, const std::string& path, std::uint32_t flags)
{
    return database.open(&database, nullptr, path.c_str(), nullptr, DB_HASH, flags, 0600);
}

DBT input(std::string_view bytes)
{
    DBT entry{};
    entry.data = const_cast<char*>(bytes.data());
    entry.size = static_cast<u_int32_t>(bytes.size());
    return entry;
}

DBT output(Secret& secret, std::size_t bytes_max)
{
    const std::span<char> room = secret.room(bytes_max);
    DBT entry{};
    entry.data = room.data();
    entry.ulen = static_cast<u_int32_t>(room.size());
    entry.flags = DB_DBT_USERMEM;
    return entry;
}

} // namespace sasldb

} // namespace postern
