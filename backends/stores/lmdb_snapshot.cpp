// SPDX-License-Identifier: BSD-2-Clause
//
// When is a copy whole? LMDB never writes a page of the newest state. A transaction writes to pages that no
// state from the newest on needs, and then the meta that makes its own the newest. So while the meta still
// says what it said before the copy began, every page of that state was in its place all the time.
#include "backends/stores/lmdb_snapshot.hpp"

#include "backends/stores/lmdb_pages.hpp"
#include "backends/stores/sasldb_database.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace postern::sasldb {

namespace {

constexpr off_t file_bytes_max = 1 << 28;

std::string lmdb_problem(int error)
{
    switch (error) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC: return "the database is damaged";
    case MDB_MAP_FULL: return "the database is full: Cyrus SASL made it that large (sasldb_mapsize)";
    default: return std::string{"the database cannot be used: "} + ::mdb_strerror(error);
    }
}

void expect(const std::string& path, int error)
{
    if (error != 0)
        fail(path, lmdb_problem(error));
}

MDB_val lent(std::string_view bytes)
{
    return {bytes.size(), const_cast<char*>(bytes.data())};
}

std::optional<std::uint64_t> newest_change(int fd)
{
    std::vector<char> beginning(lmdb_metas_bytes);
    const ssize_t size = ::pread(fd, beginning.data(), beginning.size(), 0);
    if (size < 0)
        return std::nullopt;
    const auto change = lmdb_newest_change({beginning.data(), static_cast<std::size_t>(size)});
    ::explicit_bzero(beginning.data(), beginning.size()); // small databases are in there whole
    return change;
}

off_t size_of(const std::string& path, int fd)
{
    struct stat status {};

    if (::fstat(fd, &status) != 0)
        fail_errno(path, "cannot be examined");
    if (status.st_size > file_bytes_max)
        fail(path, "is larger than 256 MiB");
    return status.st_size;
}

UniqueFd copy_of(const std::string& path, int fd)
{
    UniqueFd copy{::memfd_create("sasldb", MFD_CLOEXEC)};
    if (!copy.is_open())
        fail_errno(path, "there is no memory for a copy");
    const off_t size = size_of(path, fd);
    off_t copied = 0;
    while (copied < size) {
        const ssize_t more = ::sendfile(copy.get(), fd, &copied, static_cast<std::size_t>(size - copied));
        if (more == 0)
            break; // it has become shorter
        if (more < 0 && errno != EINTR)
            fail_errno(path, "cannot be copied to memory");
    }
    return copy;
}

UniqueFd whole_copy_of(const std::string& path, int fd)
{
    constexpr int attempts_max = 16;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        const auto before = newest_change(fd);
        if (!before)
            fail(path, "the database is damaged");
        UniqueFd copy = copy_of(path, fd);
        if (newest_change(fd) == before)
            return copy;
    }
    fail(path, "others keep writing to it");
}

/// A file that nobody writes to, where its bytes can be seen.
class Mapped {
public:
    Mapped(const std::string& path, int fd)
        : size_{static_cast<std::size_t>(size_of(path, fd))}
        , memory_{::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0)}
    {
        if (memory_ == MAP_FAILED)
            fail_errno(path, "cannot be examined");
    }

    Mapped(Mapped&&) = delete;

    ~Mapped() { ::munmap(memory_, size_); }

    [[nodiscard]] std::string_view bytes() const { return {static_cast<const char*>(memory_), size_}; }

private:
    std::size_t size_;
    void* memory_;
};

void refuse_damage(const std::string& path, int copy)
{
    if (!is_sound_lmdb(Mapped{path, copy}.bytes()))
        fail(path, "the database is damaged");
}

Environment make_environment(const std::string& path)
{
    MDB_env* environment = nullptr;
    expect(path, ::mdb_env_create(&environment));
    return Environment{environment};
}

Transaction begin(const std::string& path, MDB_env* environment, unsigned int flags)
{
    MDB_txn* transaction = nullptr;
    expect(path, ::mdb_txn_begin(environment, nullptr, flags, &transaction));
    return Transaction{transaction};
}

} // namespace

void CloseEnvironment::operator()(MDB_env* environment) const noexcept
{
    ::mdb_env_close(environment);
}

void AbortTransaction::operator()(MDB_txn* transaction) const noexcept
{
    ::mdb_txn_abort(transaction);
}

LmdbSnapshot::LmdbSnapshot(std::string path, int fd)
    : path_{std::move(path)}, copy_{whole_copy_of(path_, fd)}, environment_{make_environment(path_)}
{
    refuse_damage(path_, copy_.get());
    const std::string place = "/proc/self/fd/" + std::to_string(copy_.get());
    constexpr unsigned int flags = MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS;
    expect(path_,
           ::mdb_env_set_mapsize(environment_.get(), static_cast<std::size_t>(size_of(path_, copy_.get()))));
    expect(path_, ::mdb_env_open(environment_.get(), place.c_str(), flags, 0));
    transaction_ = begin(path_, environment_.get(), MDB_RDONLY);
    expect(path_, ::mdb_dbi_open(transaction_.get(), nullptr, 0, &database_));
}

bool LmdbSnapshot::get(std::string_view key, Secret& value, std::size_t bytes_max) const
{
    if (key.size() > lmdb_key_bytes_max)
        return false;
    MDB_val name = lent(key);
    MDB_val found{};
    const int error = ::mdb_get(transaction_.get(), database_, &name, &found);
    if (error == MDB_NOTFOUND)
        return false;
    expect(path_, error);
    const std::string_view bytes{static_cast<const char*>(found.mv_data), found.mv_size};
    if (bytes.size() > std::min(bytes_max, value.buffer().size()))
        fail(path_, "an entry is longer than this program can hold");
    value.resize(bytes.copy(value.buffer().data(), bytes.size()));
    return true;
}

namespace {

[[noreturn]] void fail_to_write(const std::string& path, const std::string& lock_path)
{
    fail(path, "it or its lock file " + lock_path + " cannot be written to");
}

struct stat status_of_database(const std::string& path)
{
    struct stat status {};

    if (::stat(path.c_str(), &status) != 0)
        fail_errno(path, "cannot be examined");
    return status;
}

/// liblmdb follows links, and writes to whatever it finds at their end.
void refuse_strange_lock_file(const std::string& path, const std::string& lock_path)
{
    struct stat lock {};

    if (::lstat(lock_path.c_str(), &lock) != 0)
        fail_errno(lock_path, "cannot be examined");
    if (!S_ISREG(lock.st_mode) || lock.st_nlink != 1)
        fail(lock_path, "is no lock file: one is a regular file with no other name");
    if (lock.st_uid != 0 && lock.st_uid != ::geteuid() && lock.st_uid != status_of_database(path).st_uid)
        fail(lock_path, "belongs neither to root nor to whom the database belongs to");
}

/// With owner and mode of the database, and empty: liblmdb fills it.
void make_lock_file(const std::string& path, const std::string& lock_path)
{
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd lock{::open(lock_path.c_str(), flags, 0600)};
    if (!lock.is_open() && errno == EEXIST)
        return refuse_strange_lock_file(path, lock_path);
    if (!lock.is_open() && (errno == EACCES || errno == EROFS))
        fail_to_write(path, lock_path);
    if (!lock.is_open())
        fail_errno(lock_path, "cannot be made");
    const struct stat database = status_of_database(path);
    remove_access_list(lock_path, lock.get());
    if (::fchown(lock.get(), database.st_uid, database.st_gid) != 0 ||
        ::fchmod(lock.get(), database.st_mode & 0777U) != 0)
        fail_errno(lock_path, "its owner and mode cannot be set");
}

Environment open_for_writing(const std::string& path)
{
    const std::string lock_path = path + "-lock";
    make_lock_file(path, lock_path);
    Environment environment = make_environment(path);
    const int error = ::mdb_env_open(environment.get(), path.c_str(), MDB_NOSUBDIR, 0600);
    if (error == EACCES || error == EROFS)
        fail_to_write(path, lock_path);
    expect(path, error);
    return environment;
}

} // namespace

LmdbChange::LmdbChange(std::string path)
    : path_{std::move(path)}
    , environment_{open_for_writing(path_)}
    , transaction_{begin(path_, environment_.get(), 0)}
{
    expect(path_, ::mdb_dbi_open(transaction_.get(), nullptr, 0, &database_));
}

bool LmdbChange::remove(std::string_view key)
{
    if (key.size() > lmdb_key_bytes_max)
        return false;
    MDB_val name = lent(key);
    const int error = ::mdb_del(transaction_.get(), database_, &name, nullptr);
    if (error != MDB_NOTFOUND)
        expect(path_, error);
    return error == 0;
}

void LmdbChange::put(std::string_view key, std::string_view value)
{
    if (key.size() > lmdb_key_bytes_max)
        fail(path_, "user and realm are too long for an LMDB file");
    MDB_val name = lent(key);
    MDB_val content = lent(value);
    expect(path_, ::mdb_put(transaction_.get(), database_, &name, &content, 0));
}

void LmdbChange::commit()
{
    expect(path_, ::mdb_txn_commit(transaction_.release()));
}

} // namespace postern::sasldb
