// SPDX-License-Identifier: BSD-2-Clause
//
// An open database is fast (1 µs a look-up with the stat, 20 µs with opening), but libdb would go on
// serving the pages that it has. So the file is stat'ed before each look-up and opened again when it is not
// the one that was opened. A file's times are coarse: what was opened within two seconds of its last change
// may change once more without looking different, and is opened again each time until it has settled (git
// calls such an index entry racily clean). saslpasswd2 writes in place; a look-up that runs into it is
// made again.
#include "backends/stores/sasldb_reader.hpp"

#include "backends/stores/lmdb_snapshot.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "base/nul_byte.hpp"

#include <db.h>

#include <utility>

namespace postern {

using namespace sasldb;
using std::chrono::nanoseconds;

namespace {

constexpr std::chrono::seconds settled_after{2};

bool is_answer(int error)
{
    return error == 0 || error == DB_NOTFOUND;
}

bool is_plain(const std::optional<SasldbCredential>& credential)
{
    return credential && credential->form == SasldbCredential::Form::plain;
}

} // namespace

/// An open database, undamaged when it was opened.
struct SasldbReader::OpenFile {
    FileStamp stamp;
    bool is_racy = true; ///< it may have changed since without looking different
    Database database;   ///< one of these
    std::unique_ptr<LmdbSnapshot> snapshot;
};

SasldbReader::SasldbReader(std::string path, WallClock wall_clock)
    : path_{std::move(path)}, wall_clock_{std::move(wall_clock)}
{
}

SasldbReader::~SasldbReader() = default;

std::optional<SasldbCredential> SasldbReader::credential(std::string_view user, std::string_view realm,
                                                         SecretArena& secrets)
{
    if (has_nul(user) || has_nul(realm))
        return std::nullopt; // would name another entry
    constexpr int attempts_max = 3;
    LookUp result;
    bool is_certain = false;
    for (int attempt = 0; attempt < attempts_max && !is_certain; ++attempt) {
        const int error = is_current() ? 0 : reopen();
        result = {}; // first: it may hold the last slot
        result = error == 0 ? look_up(user, realm, secrets) : LookUp{error, std::nullopt};
        // what was not there may have come meanwhile: the user, or the password of one who has a hash
        is_certain = is_plain(result.credential) || (is_answer(result.error) && is_current());
    }
    if (!is_answer(result.error))
        fail(path_, database_problem(result.error));
    return std::move(result.credential);
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
    const auto [stamp, format] = examine(path_, fd.get());
    const bool is_racy = now - stamp.changed < settled_after;
    if (format == SasldbFormat::lmdb) {
        ++times_opened_;
        auto snapshot = std::make_unique<LmdbSnapshot>(path_, fd.get());
        file_ = std::make_unique<OpenFile>(OpenFile{stamp, is_racy, nullptr, std::move(snapshot)});
        return 0;
    }
    if (!before || before->stamp != stamp)
        if (const int error = verify(path_, stamp.size); error != 0)
            return error;
    Database database = make_database(path_);
    ++times_opened_;
    if (const int error = open_database(*database, path_, DB_RDONLY); error != 0)
        return error;
    file_ = std::make_unique<OpenFile>(OpenFile{stamp, is_racy, std::move(database), nullptr});
    return 0;
}

SasldbReader::LookUp SasldbReader::look_up(std::string_view user, std::string_view realm,
                                           SecretArena& secrets)
{
    using Form = SasldbCredential::Form;
    for (const auto& [property, form] :
         {std::pair{password_property, Form::plain}, std::pair{scram_property, Form::scram}}) {
        LookUp found = read_entry(entry_key(user, realm, property), form, secrets);
        if (found.error != DB_NOTFOUND)
            return found;
    }
    return read_entry(entry_key(user, realm, argon2id_property), Form::argon2id, secrets);
}

SasldbReader::LookUp SasldbReader::read_entry(std::string_view key, SasldbCredential::Form form,
                                              SecretArena& secrets)
{
    Secret bytes{secrets, {}};
    const int error = get(key, bytes);
    if (error == 0)
        return {0, SasldbCredential{form, std::move(bytes)}};
    if (error != DB_NOTFOUND)
        file_.reset();
    return {error, std::nullopt};
}

int SasldbReader::get(std::string_view key, Secret& value)
{
    if (file_->snapshot)
        return file_->snapshot->get(key, value, sasldb_password_bytes_max) ? 0 : DB_NOTFOUND;
    DBT name = input(key);
    DBT content = output(value, sasldb_password_bytes_max);
    DB& database = *file_->database;
    const int error = database.get(&database, nullptr, &name, &content, 0);
    if (error == 0)
        value.resize(content.size);
    return error;
}

} // namespace postern
