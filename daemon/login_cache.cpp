// SPDX-License-Identifier: BSD-2-Clause
//
// The order of things makes a kept login true. Changes are looked at when a login comes and again when its
// verdict is there: if there was none between them, the verdict is of the store as it is now. They are looked
// at once more when the entry is used.
#include "daemon/login_cache.hpp"

#include "base/lower_case.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace postern {

namespace {

/// Its node in the list, its node in the table and its part of the table, with what malloc adds.
constexpr std::size_t entry_bytes = 112 + 48 + 16;

constexpr std::size_t stack_of_hashing = 1024;

/// What tells logins apart, unless names are long.
constexpr std::size_t parts_bytes_usual = 256;

void append(std::string& text, std::string_view piece)
{
    const auto size = static_cast<std::uint64_t>(piece.size());
    text.append(reinterpret_cast<const char*>(&size), sizeof size).append(piece);
}

const unsigned char* bytes_of(std::string_view text) noexcept
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

} // namespace

std::size_t cache_entries_in(std::size_t bytes) noexcept
{
    return std::max<std::size_t>(1, bytes / entry_bytes);
}

std::size_t LoginCache::HashOfDigest::operator()(const Digest& digest) const noexcept
{
    std::size_t hash = 0;
    std::memcpy(&hash, digest.data(), sizeof hash);
    return hash;
}

LoginCache::LoginCache(const Clock& clock, const Settings& settings, std::vector<BackendTerms> backends,
                       StoreChanges stores)
    : clock_{clock}, settings_{settings}, backends_{std::move(backends)}, stores_{std::move(stores)}
{
    counts_.entries_max = settings_.entries_max;
}

bool LoginCache::recall(const Parts& parts, const Secret& password)
{
    if (!may_know(parts.chain))
        return false;
    const bool is_hit = holds(digest_of(parts), changes_of(parts.chain), password);
    ++(is_hit ? counts_.hits : counts_.misses);
    return is_hit;
}

std::optional<LoginCache::Key> LoginCache::key_of(const Parts& parts)
{
    if (!may_know(parts.chain))
        return std::nullopt;
    const Request& request = parts.login.request;
    const Names names{tag_of(request.user), tag_of(parts.login.account), tag_of(request.realm)};
    return Key{digest_of(parts), names, changes_of(parts.chain), forgotten_};
}

bool LoginCache::may_know(const Chain& chain) const
{
    const auto is_kept = [this](const ChainLink& link) { return backends_[link.backend].is_kept; };
    return settings_.entries_max > 0 && std::ranges::any_of(chain, is_kept);
}

/// Every piece has its length in front: no two logins are the same in other pieces.
LoginCache::Digest LoginCache::digest_of(const Parts& parts) const
{
    const auto heeds_client = [this](const ChainLink& link) { return backends_[link.backend].heeds_client; };
    const Request& request = parts.login.request;
    std::string whole;
    whole.reserve(parts_bytes_usual);
    append(whole, std::to_string(parts.route));
    append(whole, request.service);
    append(whole, parts.login.received_realm);
    append(whole, parts.login.received_user);
    append(whole, request.realm);
    append(whole, request.user);
    append(whole, std::ranges::any_of(parts.chain, heeds_client) ? client_host(request) : "");
    append(whole, std::to_string(static_cast<int>(parts.realm_use)));
    Digest digest{};
    static_assert(crypto_shorthash_siphashx24_BYTES == sizeof digest &&
                  crypto_shorthash_siphashx24_KEYBYTES == name_key_bytes);
    crypto_shorthash_siphashx24(digest.data(), bytes_of(whole), whole.size(), login_key_.data());
    return digest;
}

std::uint64_t LoginCache::changes_of(const Chain& chain)
{
    stores_.look();
    std::uint64_t changes = 0;
    for (const ChainLink& link : chain)
        changes += stores_.of(link.backend);
    return changes;
}

bool LoginCache::holds(const Digest& login, std::uint64_t changes, const Secret& password)
{
    const auto found = by_login_.find(login);
    if (found == by_login_.end())
        return false;
    const Entries::iterator entry = found->second;
    if (clock_.now() >= entry->ends || entry->changes != changes) {
        drop(entry);
        ++counts_.outdated;
        return false;
    }
    const PasswordDigest digest = digest_of(login, password);
    if (sodium_memcmp(digest.data(), entry->password.data(), digest.size()) != 0)
        return false;
    entries_.splice(entries_.begin(), entries_, entry);
    return true;
}

void LoginCache::keep(const Key& key, const Secret& password, const Chain& chain,
                      std::span<const Decision> said)
{
    if (!may_keep(chain, said) || key.forgotten != forgotten_ || changes_of(chain) != key.changes)
        return;
    if (const auto found = by_login_.find(key.login); found != by_login_.end())
        drop(found->second);
    Entries entry;
    entry.push_front({key.login, key.names, digest_of(key.login, password), key.changes,
                      clock_.now() + settings_.lifetime});
    by_login_.emplace(key.login, entry.begin());
    entries_.splice(entries_.begin(), entry);
    if (entries_.size() > settings_.entries_max) {
        drop(std::prev(entries_.end()));
        ++counts_.evicted;
    }
}

void LoginCache::drop(Entries::iterator entry)
{
    by_login_.erase(entry->login);
    entries_.erase(entry);
}

/// What somebody said who could not be asked was nothing: he may know better later.
bool LoginCache::may_keep(const Chain& chain, std::span<const Decision> said) const
{
    for (std::size_t link = 0; link < said.size(); ++link)
        if (!backends_[chain[link].backend].is_kept || said[link].verdict == Verdict::unavailable)
            return false;
    return true;
}

/// Of the password as this login's: the same one has another digest elsewhere.
LoginCache::PasswordDigest LoginCache::digest_of(const Digest& login, const Secret& password) const noexcept
{
    PasswordDigest digest{};
    crypto_generichash_state state;
    crypto_generichash_init(&state, key_.data(), key_bytes, digest.size());
    crypto_generichash_update(&state, login.data(), login.size());
    crypto_generichash_update(&state, bytes_of(password.view()), password.size());
    crypto_generichash_final(&state, digest.data(), digest.size());
    sodium_memzero(&state, sizeof state);
    sodium_stackzero(stack_of_hashing); // where libsodium has no vector registers it works on a copy there
    return digest;
}

/// The same in any case: a directory lets BOB in as bob, and to forget too much costs nothing.
std::uint64_t LoginCache::tag_of(std::string_view name) const
{
    const std::string text = in_lower_case(name);
    std::uint64_t tag = 0;
    static_assert(crypto_shorthash_BYTES == sizeof tag && crypto_shorthash_KEYBYTES == name_key_bytes);
    crypto_shorthash(reinterpret_cast<unsigned char*>(&tag), bytes_of(text), text.size(), tag_key_.data());
    return tag;
}

template <typename Matches>
std::size_t LoginCache::forget(const Matches& matches)
{
    ++forgotten_;
    const std::size_t before = entries_.size();
    for (auto entry = entries_.begin(); entry != entries_.end();)
        if (const auto here = entry++; matches(*here))
            drop(here);
    return before - entries_.size();
}

std::size_t LoginCache::forget_all()
{
    return forget([](const Entry&) { return true; });
}

std::size_t LoginCache::forget_user(std::string_view user)
{
    return forget([tag = tag_of(user)](const Entry& entry) {
        return entry.names.user == tag || entry.names.account == tag;
    });
}

std::size_t LoginCache::forget_realm(std::string_view realm)
{
    return forget([tag = tag_of(realm)](const Entry& entry) { return entry.names.realm == tag; });
}

void LoginCache::look()
{
    stores_.look();
    while (!entries_.empty() && clock_.now() >= entries_.back().ends) {
        drop(std::prev(entries_.end()));
        ++counts_.outdated;
    }
}

void LoginCache::close()
{
    settings_.entries_max = 0;
    forget_all();
}

CacheStatus LoginCache::status() const
{
    CacheStatus status = counts_;
    status.entries = entries_.size();
    return status;
}

} // namespace postern
