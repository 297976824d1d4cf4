// SPDX-License-Identifier: BSD-2-Clause
//
// An open database is fast (1 µs a look-up with the stat, 20 µs with opening), but libdb would go on
// serving the pages that it has. So the file is stat'ed before each look-up and opened again when it is not
// the one that was opened. A file's times are coarse: what was opened within two seconds of its last change
// may change once more without looking different, and is opened again each time until it has settled (git
// calls such an index entry racily clean). saslpasswd2 writes in place; a look-up that runs into it is
// made again.
#include "backends/stores/sasldb_reader.hpp"

#include "backends/stores/sasldb_database.hpp"

#include <db.h>

#include <utility>

namespace postern {

using namespace sasldb;
using std::chrono::nanoseconds;

namespace {

constexpr std::chrono::seconds settled_after{2};

} // namespace

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

} // namespace postern
