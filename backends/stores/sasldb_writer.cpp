// SPDX-License-Identifier: BSD-2-Clause
//
// A new file is made beside the old one, filled, checked, synced and renamed over it. The lock is on the
// database file itself, because that needs no second file; whoever gets it checks that the path still leads
// to the file that was locked. An LMDB file has transactions and is changed in place by one.
#include "backends/stores/sasldb_writer.hpp"

#include "backends/stores/lmdb_snapshot.hpp"
#include "backends/stores/password_hash.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/scram_verifier.hpp"
#include "base/unique_fd.hpp"

#include <db.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

namespace postern {

using namespace sasldb;

namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr std::size_t entry_bytes_max = 64 * 1024; // of one key or one value, when a database is copied

struct CloseCursor {
    void operator()(DBC* cursor) const noexcept { cursor->close(cursor); }
};

using Cursor = std::unique_ptr<DBC, CloseCursor>;

/// One entry, or none, in the place of all that hold a password of that user.
struct Replacement {
    Replacement(std::string_view user, std::string_view realm)
    {
        for (std::size_t i = 0; i < keys.size(); ++i)
            keys.at(i) = entry_key(user, realm, password_properties.at(i));
    }

    Replacement(std::string_view user, std::string_view realm, std::string_view property,
                std::string_view value)
        : Replacement{user, realm}
    {
        new_key = entry_key(user, realm, property);
        new_value = value;
    }

    [[nodiscard]] bool replaces(std::string_view key) const
    {
        return std::ranges::find(keys, key) != keys.end();
    }

    [[nodiscard]] bool is_removal() const { return new_key.empty(); }

    std::array<std::string, password_properties.size()> keys; ///< of all that are replaced
    std::string new_key{};                                    ///< empty: no entry
    std::string_view new_value{};
};

enum class Outcome : std::uint8_t {
    had_password,
    had_none,
    overtaken, ///< by somebody else, who has changed the file meanwhile: nothing was done
};

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
    /// Whoever has the lock uses one name, and clears away what a killed one has left there. Who makes the
    /// first database has no lock, and others may be at it too.
    enum class Name : std::uint8_t { of_lock_holder, random };

    Draft(const std::string& target, Name name);
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
    [[nodiscard]] UniqueFd make_file(Name name);
    void refuse_another_file() const;
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

/// Who can write there can put links where files of ours are about to be, and root would follow them.
void refuse_directory_of_others(const std::string& path)
{
    if (::geteuid() != 0)
        return;

    struct stat status {};

    const std::string directory = directory_of(path);
    if (::stat(directory.c_str(), &status) != 0)
        fail_errno(path, "its directory cannot be opened");
    if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        fail(path, "others than root can write to its directory, where root writes nothing: it should belong "
                   "to root and be writable by nobody else");
}

Draft::Draft(const std::string& target, Name name)
    : target_{target}, directory_{::open(directory_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)}
{
    if (!directory_.is_open())
        fail_errno(target, "its directory cannot be opened");
    file_ = make_file(name);
    if (!file_.is_open())
        fail_errno(target, "no new file can be made in its directory");
    database_ = make_database(path_);
    if (const int error = open_database(*database_, path_, DB_CREATE | DB_TRUNCATE); error != 0) {
        ::unlink(path_.c_str());
        fail(target_, "no new database can be made: " + database_problem(error));
    }
}

UniqueFd Draft::make_file(Name name)
{
    path_ = directory_of(target_) + "/." + std::filesystem::path{target_}.filename().string();
    if (name == Name::random)
        return UniqueFd{::mkostemp((path_ += ".XXXXXX").data(), O_CLOEXEC)};
    path_ += ".new";
    ::unlink(path_.c_str());
    return UniqueFd{::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
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

/// What the name leads to must be what was filled, though libdb knows no more than names.
void Draft::refuse_another_file() const
{
    struct stat ours {};
    struct stat there {};

    if (::fstat(file_.get(), &ours) != 0 || ::lstat(path_.c_str(), &there) != 0 ||
        ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
        fail(target_, "the new database was taken away by another program before it was in its place");
}

void Draft::replace_target()
{
    refuse_another_file();
    if (::rename(path_.c_str(), target_.c_str()) != 0)
        fail_errno(target_, "cannot be replaced");
    published();
}

bool Draft::become_target()
{
    refuse_another_file();
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

/// Copies every entry but those that are replaced. Returns whether there was one of these.
bool copy_others(const std::string& source, const Replacement& replacement, Draft& draft)
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
        if (replacement.replaces(name_bytes.view()))
            was_there = true;
        else
            draft.put(name_bytes.view(), value_bytes.view());
    }
}

/// Without it the group's bits would mean something else.
void copy_access_list(const std::string& path, int from, int to)
{
    std::vector<char> list(XATTR_SIZE_MAX);
    const ssize_t size = ::fgetxattr(from, access_list_attribute, list.data(), list.size());
    if (size < 0 && (errno == ENODATA || errno == ENOTSUP))
        return remove_access_list(path, to);
    if (size < 0 ||
        ::fsetxattr(to, access_list_attribute, list.data(), static_cast<std::size_t>(size), 0) != 0)
        fail_errno(path, "its access list cannot be kept");
}

void copy_access(const std::string& path, int from, int to)
{
    struct stat old {};

    if (::fstat(from, &old) != 0)
        fail_errno(path, "cannot be examined");
    if (::fchown(to, old.st_uid, old.st_gid) != 0)
        fail_errno(path, "its owner cannot be kept");
    copy_access_list(path, from, to);
    if (::fchmod(to, old.st_mode & 07777U) != 0)
        fail_errno(path, "its mode cannot be kept");
}

/// As Debian has it, without write access for the group: daemons of group sasl read, root writes.
void give_first_access(const std::string& path, int fd)
{
    const group* const sasl = ::geteuid() == 0 ? ::getgrnam("sasl") : nullptr;
    if (sasl == nullptr)
        return; // 0600, as it was made
    remove_access_list(path, fd);
    if (::fchown(fd, 0, sasl->gr_gid) != 0 || ::fchmod(fd, 0640) != 0)
        fail_errno(path, "its owner and mode cannot be set");
}

Outcome create_database(const std::string& path, const Replacement& replacement)
{
    if (replacement.is_removal()) {
        errno = ENOENT;
        fail_errno(path, "cannot be opened");
    }
    Draft draft{path, Draft::Name::random};
    draft.put(replacement.new_key, replacement.new_value);
    draft.complete();
    give_first_access(path, draft.fd());
    return draft.become_target() ? Outcome::had_none : Outcome::overtaken;
}

Outcome change_lmdb(const std::string& path, int locked, const Replacement& replacement)
{
    static_cast<void>(LmdbSnapshot{path, locked}); // throws when liblmdb must not see the file
    LmdbChange change{path};
    bool had_password = false;
    for (const std::string& key : replacement.keys)
        had_password = change.remove(key) || had_password;
    if (!replacement.is_removal())
        change.put(replacement.new_key, replacement.new_value);
    if (had_password || !replacement.is_removal())
        change.commit();
    return had_password ? Outcome::had_password : Outcome::had_none;
}

/// It would keep the old file, and the passwords in it.
void refuse_second_name(const std::string& path, int fd)
{
    struct stat status {};

    if (::fstat(fd, &status) != 0)
        fail_errno(path, "cannot be examined");
    if (status.st_nlink > 1)
        fail(path, "has another name (a hard link), under which the old passwords would stay; a symbolic "
                   "link to one of them does no harm");
}

Outcome change_database(const std::string& path, int locked, const Replacement& replacement)
{
    const auto [before, format] = examine(path, locked);
    if (format == SasldbFormat::lmdb)
        return change_lmdb(path, locked, replacement);
    const int damage = verify(path, before.size);
    if (stamp_of(path) != before)
        return Outcome::overtaken;
    if (damage != 0)
        fail(path, database_problem(damage));
    refuse_second_name(path, locked);
    Draft draft{path, Draft::Name::of_lock_holder};
    const bool had_password = copy_others(path, replacement, draft);
    if (!replacement.is_removal())
        draft.put(replacement.new_key, replacement.new_value);
    draft.complete();
    copy_access(path, locked, draft.fd());
    if (stamp_of(path) != before)
        return Outcome::overtaken;
    if (had_password || !replacement.is_removal())
        draft.replace_target();
    return had_password ? Outcome::had_password : Outcome::had_none;
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

void refuse_bad_name(const std::string& path, std::string_view user, std::string_view realm)
{
    if (user.empty() || has_nul(user) || has_nul(realm))
        fail(path, "a user name has at least one byte, and neither it nor the realm has a NUL");
}

void refuse_bad_password(const std::string& path, const Secret& password)
{
    if (password.empty() || has_nul(password.view()))
        fail(path, "a password has at least one byte, and no NUL");
    if (password.size() > sasldb_password_bytes_max)
        fail(path, "a password has at most " + std::to_string(sasldb_password_bytes_max) + " bytes");
    if (is_nothing_when_prepared(password))
        fail(path, "of that password nothing is left when a client prepares it (SASLprep)");
}

/// Whether the user had a password before.
bool replace(const std::string& path, const Replacement& replacement, std::chrono::milliseconds patience)
{
    const Deadline deadline = std::chrono::steady_clock::now() + patience;
    const std::string target = follow_links(path);
    refuse_directory_of_others(target);
    do {
        const UniqueFd locked = lock_database(target, deadline);
        const Outcome outcome = locked.is_open() ? change_database(target, locked.get(), replacement)
                                                 : create_database(target, replacement);
        if (outcome != Outcome::overtaken)
            return outcome == Outcome::had_password;
    } while (std::chrono::steady_clock::now() < deadline);
    fail(path, "others keep writing to it");
}

SasldbChange set(const std::string& path, const Replacement& replacement, std::chrono::milliseconds patience)
{
    return replace(path, replacement, patience) ? SasldbChange::changed : SasldbChange::created;
}

} // namespace

SasldbChange set_sasldb_password(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password, std::chrono::milliseconds patience)
{
    refuse_bad_name(path, user, realm);
    refuse_bad_password(path, password);
    return set(path, {user, realm, password_property, password.view()}, patience);
}

SasldbChange set_sasldb_scram(const std::string& path, std::string_view user, std::string_view realm,
                              const Secret& password, std::chrono::milliseconds patience)
{
    refuse_bad_name(path, user, realm);
    refuse_bad_password(path, password);
    const std::string verifier = ScramVerifier::make(ScramHash::sha256, password).text();
    return set(path, {user, realm, scram_property, verifier}, patience);
}

SasldbChange set_sasldb_argon2id(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password, std::chrono::milliseconds patience)
{
    refuse_bad_name(path, user, realm);
    refuse_bad_password(path, password);
    const std::string hash = make_argon2id(password);
    return set(path, {user, realm, argon2id_property, hash}, patience);
}

bool delete_sasldb_password(const std::string& path, std::string_view user, std::string_view realm,
                            std::chrono::milliseconds patience)
{
    refuse_bad_name(path, user, realm);
    return replace(path, Replacement{user, realm}, patience);
}

} // namespace postern
