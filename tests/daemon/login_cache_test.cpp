// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/login_cache.hpp"
#include "tests/support/decisions.hpp"
#include "tests/support/malloc_meter.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/watched_store_file.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// A login as it came and as it was normalised.
struct Someone {
    std::string user = "alice";
    std::string realm = "example.org";
    std::string service = "smtp";
    std::string client{};
    std::size_t route = 0;
    std::optional<std::string> received_user{}, received_realm{}; ///< none: the same

    [[nodiscard]] NormalisedRequest login() const
    {
        return {{user, {}, service, realm, client},
                user + '@' + realm,
                received_user.value_or(user),
                received_realm.value_or(realm)};
    }
};

const Chain sasldb{ChainLink{0}};
const Chain sasldb_then_ldap{ChainLink{0}, ChainLink{1}};
constexpr Verdict yes = Verdict::accepted;

/// A cache, and what an authenticator does with it.
struct Memory {
    explicit Memory(std::size_t entries_max = 1000,
                    std::vector<LoginCache::BackendTerms> backends = {{true, false}, {true, false}},
                    std::optional<std::uint32_t> watched = std::nullopt)
        : cache{clock, {entries_max, 60s}, std::move(backends), store.changes(watched)}
    {
    }

    std::optional<LoginCache::Key> key(const Someone& someone, const Chain& chain = sasldb)
    {
        const NormalisedRequest login = someone.login();
        return cache.key_of({someone.route, login, chain});
    }

    /// It comes, is asked about, and is accepted.
    void accept(const Someone& someone, const std::string& password = "secret", const Chain& chain = sasldb,
                const std::vector<Verdict>& verdicts = {yes})
    {
        if (const auto known = key(someone, chain))
            cache.keep(*known, Secret{secrets, password}, chain, decisions(verdicts));
    }

    bool knows(const Someone& someone, const std::string& password = "secret", const Chain& chain = sasldb)
    {
        const NormalisedRequest login = someone.login();
        return cache.recall({someone.route, login, chain}, Secret{secrets, password});
    }

    ManualClock clock;
    SecretArena secrets{256, 8};
    WatchedStoreFile store;
    LoginCache cache;
};

std::string name(int number)
{
    return "user" + std::to_string(number);
}

/// Of which many look like another one whose bytes are parted elsewhere.
std::vector<Someone> thousand_logins()
{
    using namespace std::string_literals;
    const std::vector<std::string> pieces{
        "",    "a",   "b",   "ab",    "ba",  "aa",    "A",        "B",         "a|b", "a\tb", "a\nb",
        "a@b", "b@a", "a@",  "@b",    "a|",  "|b",    "|",        "\t",        "\n",  "@",    " ",
        " a",  "a ",  "a:b", "a\0b"s, "\0"s, "\x01"s, "\xc3\xa4", "a\xcc\x88", "1",   "11"};
    std::vector<Someone> all;
    for (const std::string& user : pieces)
        for (const std::string& realm : pieces)
            all.push_back({user, realm});
    REQUIRE(all.size() >= 1000);
    all.resize(1000);
    return all;
}

} // namespace

TEST_CASE("a login that was accepted is known, with its password alone", "[login_cache]")
{
    Memory memory;
    CHECK_FALSE(memory.knows({}));
    memory.accept({});
    CHECK(memory.knows({}));
    for (const std::string other : {"", "secre", "secret ", "Secret", "wrong"})
        CHECK_FALSE(memory.knows({}, other));
    CHECK(memory.knows({}));
    const CacheStatus status = memory.cache.status();
    CHECK(status.entries == 1);
    CHECK(status.hits == 2);
    CHECK(status.misses == 6);
}

TEST_CASE("no two logins are one, whatever is in their names", "[login_cache]")
{
    std::vector<std::string> names{"",
                                   "a",
                                   "b",
                                   "ab",
                                   "a|b",
                                   "a\tb",
                                   "a\nb",
                                   "a@b",
                                   "a@",
                                   "@b",
                                   "b@a",
                                   "a|",
                                   "|b",
                                   "|",
                                   "\t",
                                   "aa",
                                   "A",
                                   std::string(8, '\x01'),
                                   std::string{"\x01\0\0\0\0\0\0\0a", 9},
                                   std::string{"\0", 1},
                                   std::string{"a\0b", 3}};
    std::vector<Someone> all;
    for (const std::string& one : names)
        for (const std::string& other : names) {
            all.push_back({one, other, "smtp"});
            all.push_back({one, "r", other});
            all.push_back({"u", one, other, "", 1});
            all.push_back({"u", "r", "smtp", "", 0, one, other});
        }
    for (std::size_t route = 0; route < 120; ++route)
        all.push_back({"alice", "", "", "", route});
    all.push_back({"alice", "", std::string{"\0\0\0\0\0\0\0", 7} + std::string(42, 's'), "", 1});
    Memory memory;
    std::map<LoginCache::Digest, std::vector<std::string>> known;
    for (const Someone& someone : all) {
        const std::vector<std::string> pieces{std::to_string(someone.route),
                                              someone.service,
                                              someone.received_user.value_or(someone.user),
                                              someone.received_realm.value_or(someone.realm),
                                              someone.user,
                                              someone.realm};
        const auto [place, is_new] = known.emplace(memory.key(someone)->login, pieces);
        CHECK((is_new || place->second == pieces));
    }
    CHECK(known.size() > 1500);
}

TEST_CASE("of a thousand logins none gets in with what another one was accepted with", "[login_cache]")
{
    const std::vector<Someone> all = thousand_logins();
    Memory memory{all.size()};
    SecretArena arena{64, all.size()};
    std::vector<Secret> passwords;
    for (const Someone& someone : all) {
        passwords.emplace_back(arena, "password " + std::to_string(passwords.size()));
        memory.cache.keep(*memory.key(someone), passwords.back(), sasldb, decisions({yes}));
    }
    std::size_t mistakes = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const NormalisedRequest login = all[i].login();
        for (std::size_t j = 0; j < passwords.size(); ++j)
            mistakes += memory.cache.recall({all[i].route, login, sasldb}, passwords[j]) == (i == j) ? 0 : 1;
    }
    CHECK(mistakes == 0);
    CHECK(memory.cache.status().hits == 1000);
    CHECK(memory.cache.status().entries == 1000);
}

TEST_CASE("no password that differs in a byte is taken for the one that was accepted", "[login_cache]")
{
    const std::size_t size = GENERATE(as<std::size_t>{}, 1, 63, 64, 65, 127, 128, 129, 254);
    std::string password(size, 'p');
    password.back() = 'q';
    Memory memory;
    memory.accept({}, password);
    CAPTURE(size);
    std::size_t mistakes = 0;
    for (std::size_t i = 0; i < size; ++i) {
        std::string other = password;
        other[i] = static_cast<char>(other[i] ^ 1);
        mistakes += memory.knows({}, other) ? 1 : 0;
        mistakes += memory.knows({}, password.substr(0, i)) ? 1 : 0;
        mistakes += memory.knows({}, password.substr(i + 1)) ? 1 : 0;
    }
    for (const std::string& more :
         {std::string{"\0", 1}, std::string{" "}, std::string{"\n"}, std::string{"p"}})
        mistakes += memory.knows({}, password + more) || memory.knows({}, more + password) ? 1 : 0;
    CHECK(mistakes == 0);
    CHECK(memory.knows({}, password));
}

TEST_CASE("what was kept counts until its lifetime is over, and using it makes that no longer",
          "[login_cache]")
{
    const auto [age, is_known] = GENERATE(table<Duration, bool>({
        {60s - 1ns, true},
        {60s, false},
        {60s + 1ns, false},
        {-1h, true},
    }));
    Memory memory;
    memory.accept({});
    memory.clock.advance(age / 2);
    CHECK(memory.knows({}));
    memory.clock.advance(age - age / 2);
    CHECK(memory.knows({}) == is_known);
    CHECK(memory.cache.status().entries == (is_known ? 1 : 0));
    CHECK(memory.cache.status().outdated == (is_known ? 0 : 1));
}

TEST_CASE("another password that is accepted is kept instead, with a lifetime of its own", "[login_cache]")
{
    Memory memory;
    memory.accept({}, "old");
    memory.clock.advance(40s);
    memory.accept({}, "new");
    CHECK(memory.knows({}, "new"));
    CHECK_FALSE(memory.knows({}, "old"));
    CHECK(memory.cache.status().entries == 1);
    memory.clock.advance(59s);
    CHECK(memory.knows({}, "new"));
}

TEST_CASE("a wrong password takes nothing away", "[login_cache]")
{
    Memory memory;
    memory.accept({});
    for (int i = 0; i < 100; ++i)
        CHECK_FALSE(memory.knows({}, "wrong" + std::to_string(i)));
    CHECK(memory.knows({}));
    CHECK(memory.cache.status().evicted == 0);
    CHECK(memory.cache.status().outdated == 0);
}

TEST_CASE("when there is no room, the one that was used longest ago goes", "[login_cache]")
{
    Memory memory{3};
    memory.accept({"a"});
    memory.accept({"b"});
    memory.accept({"c"});
    CHECK(memory.knows({"a"}));
    CHECK_FALSE(memory.knows({"b"}, "wrong")); // is no use of it
    memory.accept({"d"});
    CHECK_FALSE(memory.knows({"b"}));
    CHECK(memory.knows({"c"}));
    memory.accept({"e"});
    CHECK_FALSE(memory.knows({"a"}));
    for (const std::string user : {"c", "d", "e"})
        CHECK(memory.knows({user}));
    CHECK(memory.cache.status().entries == 3);
    CHECK(memory.cache.status().entries_max == 3);
    CHECK(memory.cache.status().evicted == 2);
}

TEST_CASE("any number of logins takes no more memory than was said", "[login_cache]")
{
    constexpr std::size_t bytes = 512 * 1024;
    Memory memory{cache_entries_in(bytes)};
    const MallocMeter meter;
    for (int i = 0; i < 20'000; ++i)
        memory.accept({name(i)});
    CHECK(memory.cache.status().entries == cache_entries_in(bytes));
    CHECK(memory.cache.status().evicted == 20'000 - cache_entries_in(bytes));
    CHECK(meter.grown() <= bytes);
    CHECK(meter.grown() > bytes * 3 / 4);
}

TEST_CASE("in the smallest cache there is room for one login", "[login_cache]")
{
    CHECK(cache_entries_in(0) == 1);
    CHECK(cache_entries_in(1) == 1);
    Memory memory{1};
    memory.accept({"a"});
    memory.accept({"b"});
    CHECK(memory.knows({"b"}));
    CHECK_FALSE(memory.knows({"a"}));
}

TEST_CASE("a cache without room asks no key of anybody", "[login_cache]")
{
    Memory memory{0};
    CHECK_FALSE(memory.key({}));
}

TEST_CASE("where the client is matters where a backend of the chain heeds it", "[login_cache]")
{
    Memory memory{1000, {{true, false}, {true, true}}};
    const Someone here{"alice", "example.org", "smtp", "192.0.2.1"};
    const Someone there{"alice", "example.org", "smtp", "192.0.2.2"};
    memory.accept(here);
    CHECK(memory.knows(there));
    memory.accept(here, "secret", sasldb_then_ldap);
    CHECK(memory.knows(here, "secret", sasldb_then_ldap));
    CHECK_FALSE(memory.knows(there, "secret", sasldb_then_ldap));
}

TEST_CASE("the port of the client matters to nobody", "[login_cache]")
{
    Memory memory{10, {{true, true}, {true, false}}};
    memory.accept({.client = "192.0.2.1;1025"});
    CHECK(memory.knows({.client = "192.0.2.1;1026"}));
    CHECK_FALSE(memory.knows({.client = "192.0.2.2;1025"}));
}

TEST_CASE("what is over and nobody asks about goes by itself", "[login_cache]")
{
    Memory memory{10};
    memory.accept({.user = "alice"});
    memory.clock.advance(30s);
    memory.accept({.user = "bob"});
    memory.clock.advance(30s);
    memory.cache.look();
    CHECK(memory.cache.status().entries == 1);
    memory.clock.advance(30s);
    memory.cache.look();
    CHECK(memory.cache.status().entries == 0);
    CHECK(memory.cache.status().outdated == 2);
}

TEST_CASE("a cache that is closed knows nothing, and learns nothing", "[login_cache]")
{
    Memory memory{10};
    memory.accept({.user = "alice"});
    const auto in_work = memory.key({.user = "bob"});
    memory.cache.close();
    memory.cache.keep(*in_work, Secret{memory.secrets, "secret"}, sasldb, decisions({yes}));
    CHECK(memory.cache.status().entries == 0);
    CHECK_FALSE(memory.knows({.user = "alice"}));
}

TEST_CASE("a store that has changed since the question makes the answer not worth keeping", "[login_cache]")
{
    Memory memory{1000, {{true, false}, {true, false}}, 0};
    const auto key = memory.key({});
    memory.store.write("changed");
    memory.cache.keep(*key, Secret{memory.secrets, "secret"}, sasldb, decisions({yes}));
    CHECK(memory.cache.status().entries == 0);
    memory.accept({});
    CHECK(memory.knows({}));
    memory.store.write("changed");
    CHECK_FALSE(memory.knows({}));
    CHECK(memory.cache.status().outdated == 1);
    CHECK(memory.cache.status().entries == 0);
}

TEST_CASE("a change of a store counts for those who ask it, and for no others", "[login_cache]")
{
    Memory memory{1000, {{true, false}, {true, false}}, 1};
    memory.accept({"alice"});
    memory.accept({"bob"}, "secret", sasldb_then_ldap, {Verdict::unknown_user, yes});
    memory.store.write("changed");
    CHECK(memory.knows({"alice"}));
    CHECK_FALSE(memory.knows({"bob"}, "secret", sasldb_then_ldap));
}

TEST_CASE("what a backend said while another one could not be asked is not kept", "[login_cache]")
{
    Memory memory;
    memory.accept({}, "secret", sasldb_then_ldap, {Verdict::unavailable, yes});
    CHECK_FALSE(memory.knows({}, "secret", sasldb_then_ldap));
    memory.accept({}, "secret", sasldb_then_ldap, {Verdict::unknown_user, yes});
    CHECK(memory.knows({}, "secret", sasldb_then_ldap));
}

TEST_CASE("of a backend whose logins are not to be kept nothing is, and of one behind it neither",
          "[login_cache]")
{
    Memory memory{1000, {{false, false}, {true, false}}};
    CHECK_FALSE(memory.key({}, sasldb));
    memory.accept({}, "secret", sasldb_then_ldap, {yes});
    CHECK_FALSE(memory.knows({}, "secret", sasldb_then_ldap));
    memory.accept({}, "secret", sasldb_then_ldap, {Verdict::unknown_user, yes});
    CHECK_FALSE(memory.knows({}, "secret", sasldb_then_ldap));
    const Chain ldap{ChainLink{1}};
    memory.accept({}, "secret", ldap);
    CHECK(memory.knows({}, "secret", ldap));
}

TEST_CASE("one backend whose logins are not to be kept changes nothing where it was not asked",
          "[login_cache]")
{
    Memory memory{1000, {{true, false}, {false, false}}};
    memory.accept({}, "secret", sasldb_then_ldap, {yes});
    CHECK(memory.knows({}, "secret", sasldb_then_ldap));
}

TEST_CASE("the logins of a user, of a realm, or all are forgotten when somebody wants it", "[login_cache]")
{
    Memory memory;
    const std::vector<Someone> all{{"alice", "a"}, {"alice", "b"}, {"bob", "a"}, {"bob", ""}};
    for (const Someone& someone : all)
        memory.accept(someone);
    memory.accept({"alice", "a", "imap"});
    const auto [user, realm, count] = GENERATE(table<std::string, std::string, std::size_t>({
        {"alice", "", 3},
        {"ALICE", "", 3},
        {"Alice@A", "", 2},
        {"", "A", 3},
        {"alice@a", "", 2},
        {"bob@", "", 1},
        {"ali", "", 0},
        {"a", "", 0},
        {"", "a", 3},
        {"", "b", 1},
        {"", "alice", 0},
        {"", "", 5},
    }));
    CAPTURE(user, realm);
    const std::size_t forgotten = !user.empty()    ? memory.cache.forget_user(user)
                                  : !realm.empty() ? memory.cache.forget_realm(realm)
                                                   : memory.cache.forget_all();
    CHECK(forgotten == count);
    CHECK(memory.cache.status().entries == 5 - count);
    std::size_t known = memory.knows({"alice", "a", "imap"}) ? 1 : 0;
    for (const Someone& someone : all)
        known += memory.knows(someone) ? 1 : 0;
    CHECK(known == 5 - count);
}

TEST_CASE("what was asked before somebody wanted it forgotten is not kept after", "[login_cache]")
{
    Memory memory;
    const auto key = memory.key({});
    CHECK(memory.cache.forget_user("alice") == 0);
    memory.cache.keep(*key, Secret{memory.secrets, "secret"}, sasldb, decisions({yes}));
    CHECK_FALSE(memory.knows({}));
}

TEST_CASE("two caches have no digest in common", "[login_cache]")
{
    Memory one;
    Memory other;
    CHECK(one.key({})->login != other.key({})->login);
    CHECK(one.key({})->names.user != other.key({})->names.user);
}
