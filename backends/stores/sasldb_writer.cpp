// SPDX-License-Identifier: BSD-2-Clause
//
// A new file is made beside the old one, filled, checked, synced and renamed over it. The lock is on the
// database file itself, because that needs no second file; whoever gets it checks that the path still leads
// to the file that was locked. An LMDB file has transactions and is changed in place by one.
#include "backends/stores/sasldb_writer.hpp"

#include "backends/stores/lmdb_snapshot.hpp"
#include "backends/stores/password_hash.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_draft.hpp"
#include "backends/stores/scram_verifier.hpp"
#include "base/nul_byte.hpp"
#include "base/unique_fd.hpp"

#include <db.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>

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

Outcome create_database(const std::string& path, const Replacement& replacement)
{
    if (replacement.is_removal()) {
        errno = ENOENT;
        fail_errno(path, "cannot be opened");
    }
    Draft draft{path, Draft::Name::random};
    draft.put(replacement.new_key, replacement.new_value);
    draft.complete();
    draft.give_first_access();
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
    draft.take_access_of(locked);
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
