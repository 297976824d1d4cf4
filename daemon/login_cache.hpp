// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/chain.hpp"
#include "backends/realm_use.hpp"
#include "base/clock.hpp"
#include "base/guarded_key.hpp"
#include "base/secret.hpp"
#include "daemon/normalise.hpp"
#include "daemon/store_changes.hpp"
#include "protocol/status.hpp"
#include "protocol/verdict.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace postern {

/// Logins that a backend has accepted not long ago, so that it need not be asked again.
///
/// Only what was accepted is kept, and it says no more than that this password was right for this login.
/// Another password is always the backend's to judge: if it accepts, that one is kept instead; if it refuses,
/// nothing changes. An entry counts until its lifetime is over, which no later login makes longer, or a local
/// store of a backend that was asked has changed. When there is no room, the one that was used longest ago
/// goes.
///
/// Neither names nor passwords are in it: of a login it has a SipHash-2-4 of 128 bits, which is enough where
/// the key is nobody's to know, of a password BLAKE2b, and the keys are in no file. Lives in the front, and
/// dies with it.
class LoginCache {
public:
    struct Settings {
        std::size_t entries_max = 0; ///< none: nothing is kept
        Duration lifetime{};
    };

    /// Of a backend, in the order of Config::backends.
    struct BackendTerms {
        bool is_kept = false;      ///< whether what it accepted may be
        bool heeds_client = false; ///< whether its answer depends on where the client is
    };

    using Digest = std::array<unsigned char, 16>;

    /// What an entry is found by, when it is to be forgotten.
    struct Names {
        std::uint64_t user = 0, account = 0, realm = 0;
    };

    /// One login, whatever its password, at the moment it came, for keep().
    struct Key {
        Digest login{};
        Names names;
        std::uint64_t changes = 0;   ///< of the stores of its chain
        std::uint64_t forgotten = 0; ///< how often something has been forgotten
    };

    /// What makes a login another one.
    struct Parts {
        std::size_t route = 0;
        const NormalisedRequest& login;
        const Chain& chain;
        RealmUse realm_use =
            RealmUse::never; ///< that it takes to be asked: one listener's realm is not another's
    };

    LoginCache(const Clock& clock, const Settings& settings, std::vector<BackendTerms> backends,
               StoreChanges stores);
    LoginCache(const LoginCache&) = delete;
    LoginCache& operator=(const LoginCache&) = delete;

    /// Whether this password is known to be right. Counts as a use of it.
    [[nodiscard]] bool recall(const Parts& parts, const Secret& password);

    /// Of a login that will be asked about. Nothing where nothing would be kept.
    [[nodiscard]] std::optional<Key> key_of(const Parts& parts);

    /// `chain` has come to accepted by what those of its links `said` that were asked. Kept unless the
    /// verdict may be another one by now, or one who was asked is not to be taken for long, or somebody
    /// wanted something forgotten meanwhile.
    void keep(const Key& key, const Secret& password, const Chain& chain, std::span<const Decision> said);

    /// Forget all; the logins of a user, as "bob" or "bob@example.org"; or those of a realm; names are the
    /// same in any case. How many there were.
    std::size_t forget_all();
    std::size_t forget_user(std::string_view user);
    std::size_t forget_realm(std::string_view realm);

    /// Takes note of changes of the stores, and drops what has not been used for a while and is over. So no
    /// entry is there for longer than two lifetimes.
    void look();

    /// From now on nothing is kept, and nothing recalled.
    void close();

    [[nodiscard]] CacheStatus status() const;

private:
    static constexpr std::size_t key_bytes = 32;
    static constexpr std::size_t name_key_bytes = 16;
    using PasswordDigest = std::array<unsigned char, 32>;

    struct Entry {
        Digest login;
        Names names;
        PasswordDigest password;
        std::uint64_t changes;
        TimePoint ends;
    };

    /// The digests are random bytes already.
    struct HashOfDigest {
        std::size_t operator()(const Digest& digest) const noexcept;
    };

    using Entries = std::list<Entry>;

    [[nodiscard]] bool may_know(const Chain& chain) const;
    [[nodiscard]] bool holds(const Digest& login, std::uint64_t changes, const Secret& password);
    [[nodiscard]] bool may_keep(const Chain& chain, std::span<const Decision> said) const;
    [[nodiscard]] std::uint64_t changes_of(const Chain& chain);
    [[nodiscard]] Digest digest_of(const Parts& parts) const;
    [[nodiscard]] PasswordDigest digest_of(const Digest& login, const Secret& password) const noexcept;
    [[nodiscard]] std::uint64_t tag_of(std::string_view name) const;
    void drop(Entries::iterator entry);
    template <typename Matches>
    std::size_t forget(const Matches& matches);

    const Clock& clock_;
    Settings settings_;
    std::vector<BackendTerms> backends_;
    StoreChanges stores_;
    GuardedKey<key_bytes> key_;
    GuardedKey<name_key_bytes> login_key_, tag_key_;
    Entries entries_; ///< by use: the last one in front
    std::unordered_map<Digest, Entries::iterator, HashOfDigest> by_login_;
    CacheStatus counts_;
    std::uint64_t forgotten_ = 0;
};

/// How many logins can be kept in `bytes` of memory.
[[nodiscard]] std::size_t cache_entries_in(std::size_t bytes) noexcept;

} // namespace postern
