// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct MDB_env;
struct MDB_txn;

/// LMDB files, which builds of Cyrus SASL newer than Debian's keep as their sasldb: the file at the path
/// itself (MDB_NOSUBDIR), one database in it, the entries' names as in a Berkeley file.
///
/// The way of liblmdb to read such a file is to write into the lock file beside it, `sasldb2-lock`. A worker
/// may not do that: Cyrus SASL makes that file for whoever was first, root as a rule, and a worker that is
/// killed would leave a reader behind for whom the file grows. The way without the lock, MDB_NOLOCK, lets a
/// writer put new pages where one is reading. So the reader takes a copy, of a file that has not been written
/// to meanwhile, and reads that: no lock, no access to anything but the file, and no writer is ever in its
/// way. A sasldb has some hundred KiB; the copy is taken anew when the file has changed.
///
/// A writer does as Cyrus SASL does: a transaction of liblmdb, under its lock.
namespace postern::sasldb {

/// The longest name of an entry that liblmdb takes.
inline constexpr std::size_t lmdb_key_bytes_max = 511;

struct CloseEnvironment {
    void operator()(MDB_env* environment) const noexcept;
};

struct AbortTransaction {
    void operator()(MDB_txn* transaction) const noexcept;
};

using Environment = std::unique_ptr<MDB_env, CloseEnvironment>;
using Transaction = std::unique_ptr<MDB_txn, AbortTransaction>;

/// One state of an LMDB file, in memory. Throws SasldbError when it cannot be had: the file is damaged,
/// larger than 256 MiB, or others keep writing to it.
class LmdbSnapshot {
public:
    /// Of the open file, which may be closed afterwards; `path` is for the text of an error.
    LmdbSnapshot(std::string path, int fd);
    LmdbSnapshot(LmdbSnapshot&&) = delete;
    ~LmdbSnapshot() = default;

    /// Whether there is an entry of that name. Throws SasldbError when it has more than `bytes_max` bytes.
    [[nodiscard]] bool get(std::string_view key, Secret& value, std::size_t bytes_max) const;

private:
    std::string path_;
    UniqueFd copy_;
    Environment environment_;
    Transaction transaction_; ///< ends first
    unsigned int database_ = 0;
};

/// A write transaction on an LMDB file. It waits, as all of liblmdb's writers do, for as long as another has
/// the lock. A lock file that is made on the way gets owner and mode of the database, so that those who could
/// open the one can open the other. One that is there must be a file, and the owner's or root's, since
/// liblmdb goes wherever its name leads. Throws SasldbError.
class LmdbChange {
public:
    explicit LmdbChange(std::string path);
    LmdbChange(LmdbChange&&) = delete;
    ~LmdbChange() = default;

    /// Whether there was such an entry.
    bool remove(std::string_view key);
    void put(std::string_view key, std::string_view value);
    /// Without it nothing has happened.
    void commit();

private:
    std::string path_;
    Environment environment_;
    Transaction transaction_; ///< ends first
    unsigned int database_ = 0;
};

} // namespace postern::sasldb
