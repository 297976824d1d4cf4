// SPDX-License-Identifier: BSD-2-Clause
//
// Berkeley DB without an environment: no locks, no log, no transactions, and several writers that know
// nothing of each other. Three ideas make it safe enough to authenticate against.
//
// Reading. An open database is fast (1 µs a look-up with the stat, 20 µs with opening), but libdb would go on
// serving the pages that it has. So the file is stat'ed before each look-up and opened again when it is not
// the one that was opened. A file's times are coarse: what was opened within two seconds of its last change
// may change once more without looking different, and is opened again each time until it has settled (git
// calls such an index entry racily clean). saslpasswd2 writes in place; a look-up that runs into it is
// made again.
//
// Damage. libdb trusts its pages: offsets in a flipped one crash it, links lead it round in circles. Its own
// verifier does not, so every state of a file is verified once before it is asked anything. On the way libdb
// likes to print pages, passwords included; nobody listens.
//
// Writing. A new file is made beside the old one, filled, checked, synced and renamed over it. The lock is on
// the database file itself, because that needs no second file; whoever gets it checks that the path still
// leads to the file that was locked.
#include "backends/stores/sasldb_file.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <db.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

namespace postern {

namespace {

using std::chrono::nanoseconds;
using Deadline = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds settled_after{2};
constexpr std::size_t entry_bytes_max = 64 * 1024; // of one key or one value, when a database is copied

[[noreturn]] void fail(const std::string& path, const std::string& problem)
{
    throw SasldbError{path + ": " + problem};
}

[[noreturn]] void fail_errno(const std::string& path, const std::string& doing)
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

/// The name of an entry in the file.
std::string entry_key(std::string_view user, std::string_view realm)
{
    std::string key{user};
    key.append(1, '\0').append(realm).append(1, '\0').append("userPassword");
    return key;
}

bool has_nul(std::string_view text)
{
    return text.find('\0') != std::string_view::npos;
}

/// What tells one state of a file from the next, as far as stat(2) knows.
struct FileStamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    nanoseconds modified{};
    nanoseconds changed{};

    bool operator==(const FileStamp&) const = default;
};

nanoseconds since_epoch(const timespec& time)
{
    return std::chrono::seconds{time.tv_sec} + nanoseconds{time.tv_nsec};
}

FileStamp make_stamp(const struct stat& status)
{
    return {status.st_dev, status.st_ino, status.st_size, since_epoch(status.st_mtim),
            since_epoch(status.st_ctim)};
}

/// Of the file that the path leads to now; nothing when there is none.
std::optional<FileStamp> stamp_of(const std::string& path)
{
    struct stat status {};

    if (::stat(path.c_str(), &status) != 0)
        return std::nullopt;
    return make_stamp(status);
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

/// Refuses what cannot be a database, before libdb sees it.
FileStamp examine(const std::string& path, int fd)
{
    struct stat status {};

    if (::fstat(fd, &status) != 0)
        fail_errno(path, "cannot be examined");
    if (!S_ISREG(status.st_mode))
        fail(path, "is not a regular file");
    if (status.st_size == 0)
        fail(path, "is empty");
    if (!has_hash_magic(fd))
        fail(path, "is not a Berkeley DB hash file");
    return make_stamp(status);
}

UniqueFd open_readable(const std::string& path)
{
    return UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
}

struct CloseDatabase {
    void operator()(DB* database) const noexcept { database->close(database, DB_NOSYNC); }
};

struct CloseCursor {
    void operator()(DBC* cursor) const noexcept { cursor->close(cursor); }
};

using Database = std::unique_ptr<DB, CloseDatabase>;
using Cursor = std::unique_ptr<DBC, CloseCursor>;

Database make_database(const std::string& path)
{
    DB* database = nullptr;
    if (const int error = ::db_create(&database, nullptr, 0); error != 0)
        fail(path, database_problem(error));
    database->set_errcall(database, [](const DB_ENV*, const char*, const char*) {});
    database->set_msgcall(database, [](const DB_ENV*, const char*) {}); // whole pages, passwords and all
    return Database{database};
}

/// Whether libdb will find its way through the file: 0, or its error.
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

int open_database(DB& database, const std::string& path, u_int32_t flags)
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
    DBT entry{};
    entry.data = secret.buffer().data();
    entry.ulen = static_cast<u_int32_t>(std::min(secret.buffer().size(), bytes_max));
    entry.flags = DB_DBT_USERMEM;
    return entry;
}

} // namespace

std::string sasldb_default_realm()
{
    std::array<char, HOST_NAME_MAX + 1> name{};
    check(::gethostname(name.data(), name.size()), "gethostname");
    return name.data();
}

// Reading

/// An open database, undamaged when it was opened.
struct SasldbReader::OpenFile {
    FileStamp stamp;
    bool is_racy = true; ///< it may have changed since without looking different
    Database database;
};

SasldbReader::SasldbReader(std::string path, WallClock wall_clock)
    : path_{std::move(path)}, wall_clock_{std::move(wall_clock)}
{
}

SasldbReader::~SasldbReader() = default;

std::optional<Secret> SasldbReader::password(std::string_view user, std::string_view realm,
                                             SecretArena& secrets)
{
    if (has_nul(user) || has_nul(realm))
        return std::nullopt; // would name another entry
    const std::string key = entry_key(user, realm);
    constexpr int attempts_max = 3;
    int error = 0;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        error = is_current() ? 0 : reopen();
        if (error != 0)
            continue;
        LookUp result = look_up(key, secrets);
        error = result.error;
        if (error == 0 || (error == DB_NOTFOUND && is_current()))
            return std::move(result.password);
    }
    if (error == DB_NOTFOUND)
        return std::nullopt;
    fail(path_, database_problem(error));
}

bool SasldbReader::is_current() const
{
    return file_ && !file_->is_racy && stamp_of(path_) == file_->stamp;
}

/// Throws when this cannot be a database; the result is for what may be another's half-written one.
int SasldbReader::reopen()
{
    const auto before = std::exchange(file_, nullptr);
    const nanoseconds now = wall_clock_().time_since_epoch(); // first: what changes from here on must show
    const UniqueFd fd = open_readable(path_);
    if (!fd.is_open())
        fail_errno(path_, "cannot be opened");
    const FileStamp stamp = examine(path_, fd.get());
    if (!before || before->stamp != stamp)
        if (const int error = verify(path_, stamp.size); error != 0)
            return error;
    Database database = make_database(path_);
    ++times_opened_;
    if (const int error = open_database(*database, path_, DB_RDONLY); error != 0)
        return error;
    file_ =
        std::make_unique<OpenFile>(OpenFile{stamp, now - stamp.changed < settled_after, std::move(database)});
    return 0;
}

SasldbReader::LookUp SasldbReader::look_up(std::string_view key, SecretArena& secrets)
{
    Secret password{secrets, {}};
    DBT name = input(key);
    DBT value = output(password, sasldb_password_bytes_max);
    DB& database = *file_->database;
    const int error = database.get(&database, nullptr, &name, &value, 0);
    if (error == 0) {
        password.resize(value.size);
        return {0, std::move(password)};
    }
    if (error != DB_NOTFOUND)
        file_.reset();
    return {error, std::nullopt};
}

// Writing

namespace {

/// While it exists, nobody ends this program from a terminal: an unfinished file would stay behind.
class SignalsHeldBack {
public:
    SignalsHeldBack()
    {
        sigset_t held{};
        ::sigemptyset(&held);
        for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM})
            ::sigaddset(&held, signal);
        ::pthread_sigmask(SIG_BLOCK, &held, &before_);
    }

    SignalsHeldBack(SignalsHeldBack&&) = delete;

    ~SignalsHeldBack() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

/// The new database while it is being filled: a file beside the old one, for nobody's eyes but ours, removed
/// again unless it takes its place.
class Draft {
public:
    explicit Draft(const std::string& target);
    Draft(Draft&&) = delete;
    ~Draft();

    [[nodiscard]] int fd() const noexcept { return file_.get(); }

    void put(std::string_view key, std::string_view value);
    /// Nothing more will be put: everything is on disk when this returns.
    void complete();
    void replace_target();
    /// False when somebody else has made the target meanwhile.
    [[nodiscard]] bool become_target();

private:
    void published() noexcept;

    SignalsHeldBack signals_held_back_;
    std::string target_;
    std::string path_; ///< empty: published
    UniqueFd directory_;
    UniqueFd file_;
    Database database_;
};

std::string directory_of(const std::string& path)
{
    const auto directory = std::filesystem::path{path}.parent_path();
    return directory.empty() ? "." : directory.string();
}

Draft::Draft(const std::string& target)
    : target_{target}, directory_{::open(directory_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)}
{
    std::string path =
        directory_of(target) + "/." + std::filesystem::path{target}.filename().string() + ".XXXXXX";
    if (!directory_.is_open())
        fail_errno(target, "its directory cannot be opened");
    file_ = UniqueFd{::mkostemp(path.data(), O_CLOEXEC)};
    if (!file_.is_open())
        fail_errno(target, "no new file can be made in its directory");
    path_ = path;
    database_ = make_database(path_);
    if (const int error = open_database(*database_, path_, DB_CREATE | DB_TRUNCATE); error != 0) {
        ::unlink(path_.c_str());
        fail(target_, "no new database can be made: " + database_problem(error));
    }
}

Draft::~Draft()
{
    database_.reset();
    if (!path_.empty())
        ::unlink(path_.c_str());
}

void Draft::put(std::string_view key, std::string_view value)
{
    DBT name = input(key);
    DBT content = input(value);
    if (const int error = database_->put(database_.get(), nullptr, &name, &content, DB_NOOVERWRITE);
        error != 0)
        fail(target_, "an entry cannot be written to the new database: " + std::string{::db_strerror(error)});
}

void Draft::complete()
{
    DB* const database = database_.release();
    if (const int error = database->close(database, 0); error != 0)
        fail(target_, "the new database cannot be written: " + std::string{::db_strerror(error)});
    if (::fsync(file_.get()) != 0)
        fail_errno(target_, "the new database cannot be written");

    struct stat status {};

    if (::fstat(file_.get(), &status) != 0 || verify(path_, status.st_size) != 0)
        fail(target_, "the new database is not what was written");
}

void Draft::replace_target()
{
    if (::rename(path_.c_str(), target_.c_str()) != 0)
        fail_errno(target_, "cannot be replaced");
    published();
}

bool Draft::become_target()
{
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) {
        published();
        return true;
    }
    if (errno != EEXIST)
        fail_errno(target_, "cannot be created");
    return false;
}

void Draft::published() noexcept
{
    path_.clear();
    static_cast<void>(::fsync(directory_.get())); // it has happened; an error would only say the opposite
}

Cursor make_cursor(const std::string& path, DB& database)
{
    DBC* cursor = nullptr;
    if (const int error = database.cursor(&database, nullptr, &cursor, 0); error != 0)
        fail(path, database_problem(error));
    return Cursor{cursor};
}

/// Copies every entry but that one. Returns whether that one was there.
bool copy_others(const std::string& source, std::string_view key, Draft& draft)
{
    Database database = make_database(source);
    if (const int error = open_database(*database, source, DB_RDONLY); error != 0)
        fail(source, database_problem(error));
    const Cursor cursor = make_cursor(source, *database);
    SecretArena secrets{entry_bytes_max, 2};
    Secret name_bytes{secrets, {}};
    Secret value_bytes{secrets, {}};
    bool was_there = false;
    while (true) {
        DBT name = output(name_bytes, entry_bytes_max);
        DBT value = output(value_bytes, entry_bytes_max);
        const int error = cursor->get(cursor.get(), &name, &value, DB_NEXT);
        if (error == DB_NOTFOUND)
            return was_there;
        if (error != 0)
            fail(source, database_problem(error));
        name_bytes.resize(name.size);
        value_bytes.resize(value.size);
        if (name_bytes.view() == key)
            was_there = true;
        else
            draft.put(name_bytes.view(), value_bytes.view());
    }
}

/// An access list lives in an attribute. Without it the group's bits would mean something else.
void copy_access_list(const std::string& path, int from, int to)
{
    constexpr const char* attribute = "system.posix_acl_access";
    std::vector<char> list(XATTR_SIZE_MAX);
    const ssize_t size = ::fgetxattr(from, attribute, list.data(), list.size());
    if (size < 0 && (errno == ENODATA || errno == ENOTSUP))
        return;
    if (size < 0 || ::fsetxattr(to, attribute, list.data(), static_cast<std::size_t>(size), 0) != 0)
        fail_errno(path, "its access list cannot be kept");
}

void copy_access(const std::string& path, int from, int to)
{
    struct stat old {};

    if (::fstat(from, &old) != 0)
        fail_errno(path, "cannot be examined");
    if (::fchown(to, old.st_uid, old.st_gid) != 0 || ::fchmod(to, old.st_mode & 07777U) != 0)
        fail_errno(path, "its owner and mode cannot be kept");
    copy_access_list(path, from, to);
}

/// As Debian has it, without write access for the group: daemons of group sasl read, root writes.
void give_first_access(const std::string& path, int fd)
{
    const group* const sasl = ::geteuid() == 0 ? ::getgrnam("sasl") : nullptr;
    if (sasl == nullptr)
        return; // 0600, as it was made
    if (::fchown(fd, 0, sasl->gr_gid) != 0 || ::fchmod(fd, 0640) != 0)
        fail_errno(path, "its owner and mode cannot be set");
}

/// Nothing when somebody else was faster.
std::optional<SasldbChange> create_database(const std::string& path, std::string_view key,
                                            const Secret& password)
{
    Draft draft{path};
    draft.put(key, password.view());
    draft.complete();
    give_first_access(path, draft.fd());
    if (!draft.become_target())
        return std::nullopt;
    return SasldbChange::created;
}

/// Nothing when somebody who takes no lock wrote to it meanwhile.
std::optional<SasldbChange> change_database(const std::string& path, int locked, std::string_view key,
                                            const Secret& password)
{
    const FileStamp before = examine(path, locked);
    const int damage = verify(path, before.size);
    if (stamp_of(path) != before)
        return std::nullopt;
    if (damage != 0)
        fail(path, database_problem(damage));
    Draft draft{path};
    const bool was_there = copy_others(path, key, draft);
    draft.put(key, password.view());
    draft.complete();
    copy_access(path, locked, draft.fd());
    if (stamp_of(path) != before)
        return std::nullopt;
    draft.replace_target();
    return was_there ? SasldbChange::changed : SasldbChange::created;
}

void lock(const std::string& path, int fd, Deadline deadline)
{
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            fail_errno(path, "cannot be locked");
        if (std::chrono::steady_clock::now() >= deadline)
            fail(path, "another program holds the lock (flock) on it and does not let go");
        ::poll(nullptr, 0, 5);
    }
}

/// The file that the path leads to, locked; not open when there is none.
UniqueFd lock_database(const std::string& path, Deadline deadline)
{
    while (true) {
        UniqueFd file = open_readable(path);
        if (!file.is_open() && errno == ENOENT)
            return {};
        if (!file.is_open())
            fail_errno(path, "cannot be opened");
        lock(path, file.get(), deadline);
        const auto now_there = stamp_of(path);

        struct stat locked {};

        if (::fstat(file.get(), &locked) == 0 && now_there == make_stamp(locked))
            return file;
    }
}

/// A link is not replaced but what it points at, which need not exist.
std::string follow_links(const std::string& path)
{
    constexpr int links_max = 40;
    std::filesystem::path place{path};
    for (int links = 0; links < links_max; ++links) {
        std::error_code no_link;
        const auto next = std::filesystem::read_symlink(place, no_link);
        if (no_link)
            return place.string();
        place = place.parent_path() / next;
    }
    fail(path, "too many symbolic links");
}

void refuse_bad_entry(const std::string& path, std::string_view user, std::string_view realm,
                      const Secret& password)
{
    if (user.empty() || has_nul(user) || has_nul(realm))
        fail(path, "a user name has at least one byte, and neither it nor the realm has a NUL");
    if (password.empty() || has_nul(password.view()))
        fail(path, "a password has at least one byte, and no NUL");
    if (password.size() > sasldb_password_bytes_max)
        fail(path, "a password has at most " + std::to_string(sasldb_password_bytes_max) + " bytes");
}

} // namespace

SasldbChange set_sasldb_password(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password, std::chrono::milliseconds patience)
{
    refuse_bad_entry(path, user, realm, password);
    const Deadline deadline = std::chrono::steady_clock::now() + patience;
    const std::string target = follow_links(path);
    const std::string key = entry_key(user, realm);
    do {
        const UniqueFd locked = lock_database(target, deadline);
        const auto change = locked.is_open() ? change_database(target, locked.get(), key, password)
                                             : create_database(target, key, password);
        if (change)
            return *change;
    } while (std::chrono::steady_clock::now() < deadline);
    fail(path, "others keep writing to it");
}

} // namespace postern
