// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/backend_contract.hpp"
#include "tests/support/kdc.hpp"
#include "tests/support/temporary_directory.hpp"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace postern {

namespace {

class KerberosSource final : public ContractSource {
public:
    KerberosSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            kdc.add(login.user, login.password);
    }

    [[nodiscard]] std::string type() const override { return "kerberos5"; }

    [[nodiscard]] BackendOptions options() const override
    {
        return {{"krb5_keytab", kdc.keytab()},
                {"krb5_verify_principal", Kdc::host_principal},
                {"krb5_servername", ""},
                {"krb5_conv_krb4_instance", "no"},
                {"krb5_instances", ""}};
    }

    [[nodiscard]] BackendOptions options_with(const std::string& key, const std::string& value) const
    {
        BackendOptions changed = options();
        changed.insert_or_assign(key, value);
        return changed;
    }

    [[nodiscard]] Login known() const override { return {"alice", "s3cret pass"}; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass"}; }

    /// A KDC of MIT's writes the name in UTF-16 into its tickets, so it is UTF-8; a password is any bytes.
    [[nodiscard]] Login eight_bit() const override
    {
        return {"al\xc3\xaf"
                "ce",
                "\xc3\xa9\x80\xff\x01"};
    }

    [[nodiscard]] Login maximal() const override
    {
        return {std::string(1000, 'u'), std::string(field_bytes_max, 'p'), Kdc::realm,
                std::string(field_bytes_max, 's')};
    }

    [[nodiscard]] Login break_down() override
    {
        kdc.stop();
        return known();
    }

    Kdc kdc;
};

constexpr const char* password = "s3cret pass";
constexpr const char* yesterday = "2001-01-01 00:00:00 UTC";

Decision decision_of(LoadedBackend& backend, const std::string& user,
                     const std::string& its_password = password)
{
    return backend.check({user, its_password});
}

} // namespace

TEST_CASE("kerberos5 keeps the backend contract", "[kerberos5]")
{
    KerberosSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("a wrong password is rejected by a KDC that wants proof first, too", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("bob", password, {"+requires_preauth"});
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK(verdict_of(backend, {"bob", password}) == Verdict::accepted);
    CHECK(verdict_of(backend, {"bob", "not-it"}) == Verdict::rejected);
    CHECK(backend.check({"bob", "not-it"}).reason == "krb5_get_init_creds_password failed");
}

TEST_CASE("who may not log in is barred, and the password has not been looked at", "[kerberos5]")
{
    KerberosSource source;
    const std::vector<std::string> state = GENERATE(values<std::vector<std::string>>({
        {"-expire", yesterday},
        {"-pwexpire", yesterday},
        {"+needchange"},
        {"-allow_tix"},
    }));
    CAPTURE(state.front());
    const bool has_preauth = GENERATE(false, true);
    source.kdc.add("bob", password, state);
    if (has_preauth)
        source.kdc.kadmin({"modprinc", "+requires_preauth", "bob"});
    LoadedBackend backend{"kerberos5", source.options()};
    for (const char* tried : {password, "not-it"}) {
        const Decision decision = decision_of(backend, "bob", tried);
        CHECK(decision.verdict == Verdict::barred);
        CHECK_FALSE(decision.password_was_right);
    }
}

TEST_CASE("a refusal has the incumbent's line in front of it, without the password", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK(backend.check({"alice", "s3cret word"}).reason == "krb5_get_init_creds_password failed");
    CHECK(backend.log_lines() == std::vector<std::string>{"3 auth_krb5: krb5_get_init_creds_password: "
                                                          "Decrypt integrity check failed (-1765328353)"});
    CHECK(backend.check({"a@b@c", "s3cret word"}).reason == "saslauthd internal error");
    CHECK(backend.log_lines().back() == "3 auth_krb5: krb5_parse_name: "
                                        "Malformed representation of principal (-1765328250)");
    CHECK(backend.check(source.known()).verdict == Verdict::accepted);
    CHECK(backend.log_lines().size() == 2);
}

TEST_CASE("an account that is locked after guesses is barred", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.kadmin({"addpol", "-maxfailure", "2", "-lockoutduration", "1d", "strict"});
    source.kdc.add("bob", password, {"-policy", "strict", "+requires_preauth"});
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK(verdict_of(backend, {"bob", "not-it"}) == Verdict::rejected);
    CHECK(verdict_of(backend, {"bob", "not-it"}) == Verdict::rejected);
    CHECK(verdict_of(backend, {"bob", password}) == Verdict::barred);
}

TEST_CASE("an expired password is not changed", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("bob", password, {"-pwexpire", yesterday});
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK(verdict_of(backend, {"bob", password}) == Verdict::barred);
    source.kdc.kadmin({"modprinc", "-pwexpire", "never", "bob"});
    CHECK(verdict_of(backend, {"bob", password}) == Verdict::accepted);
}

TEST_CASE("a user is parsed as a principal, with the realm of the request", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("alice/admin", "admins");
    source.kdc.add("al\\@ice", "quoted");
    LoadedBackend backend{"kerberos5", source.options()};
    const auto [user, realm, right_password] = GENERATE(table<std::string, std::string, std::string>({
        {"alice", "", password},
        {"alice", "EXAMPLE.TEST", password},
        {"alice@EXAMPLE.TEST", "", password},
        {"alice@EXAMPLE.TEST", "EXAMPLE.TEST", password}, // what the flag -r makes
        {"alice/admin", "", "admins"},
        {"alice/admin@EXAMPLE.TEST", "EXAMPLE.TEST", "admins"},
        {"al\\@ice", "EXAMPLE.TEST", "quoted"},
        {"\\alice", "", password},
    }));
    CAPTURE(user, realm);
    CHECK(verdict_of(backend, {user, right_password, realm}) == Verdict::accepted);
    CHECK(verdict_of(backend, {user, "not-it", realm}) == Verdict::rejected);
}

TEST_CASE("what is no principal is rejected", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options()};
    const auto [user, realm] = GENERATE(table<std::string, std::string>({
        {"alice@EXAMPLE.TEST@EXAMPLE.TEST", ""},
        {"alice@EXAMPLE.TEST@EXAMPLE.TEST", "EXAMPLE.TEST"},
        {"alice@EXAMPLE.TEST", "ELSEWHERE.TEST"},
        {"alice", "EXAMPLE.TEST@EXAMPLE.TEST"},
        {"alice\\", "EXAMPLE.TEST"},
        {"alice\\", ""},
        {"alice@EXAMPLE.TEST\\", ""},
        {"alice@", ""},
        {"@", ""},
        {"@", "EXAMPLE.TEST"},
        {"alice", "EXAMPLE.TEST\\"},
        {std::string{"alice\0x", 7}, ""},
        {"alice", std::string{"EXAMPLE.TEST\0x", 14}},
        {std::string(1024, 'u'), std::string(1024, 'r')},
    }));
    CAPTURE(user, realm);
    CHECK(verdict_of(backend, {user, password, realm}) == Verdict::rejected);
}

TEST_CASE("the anonymous principal is rejected, and nobody is asked", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.stop();
    LoadedBackend backend{"kerberos5", source.options_with("krb5_instances", "smtp=ANONYMOUS")};
    const auto [user, realm, service] = GENERATE(table<std::string, std::string, std::string>({
        {"WELLKNOWN/ANONYMOUS", "", "imap"},
        {"WELLKNOWN/ANONYMOUS", "EXAMPLE.TEST", "imap"},
        {"WELLKNOWN/ANONYMOUS@EXAMPLE.TEST", "", "imap"},
        {"WELLKNOWN/ANONYMOUS@EXAMPLE.TEST", "EXAMPLE.TEST", "imap"},
        {"WELLKNOWN/ANONYMOUS", "WELLKNOWN:ANONYMOUS", "imap"},
        {"WELLKNOWN/\\ANONYMOUS", "", "imap"},
        {"WELLKNOWN", "", "smtp"},
    }));
    CAPTURE(user, realm, service);
    CHECK(verdict_of(backend, {user, password, realm, service}) == Verdict::rejected);
    outage_of(backend, source.known()); // the control: there is nobody to ask
}

TEST_CASE("in a realm that krb5.conf does not know nobody is known, and nobody is asked", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options()};
    for (const std::string realm : {"ELSEWHERE.TEST", "example.test", "EXAMPLE.TEST.", "EXAMPLE"}) {
        CAPTURE(realm);
        CHECK(verdict_of(backend, {"alice@" + realm, password}) == Verdict::unknown_user);
        CHECK(verdict_of(backend, {"alice", password, realm}) ==
              Verdict::unknown_user); // as libsasl sends it
        CHECK(verdict_of(backend, {"alice@" + realm, password, realm}) == Verdict::unknown_user);
    }
    CHECK(verdict_of(backend, {"alice@EXAMPLE.TEST\\0", password}) == Verdict::unknown_user);
    CHECK(backend.check({"alice", password, "ELSEWHERE.TEST"}).reason ==
          "the realm is neither the default one nor in krb5.conf");
    CHECK(verdict_of(backend, {"alice@EXAMPLE.TEST", password}) == Verdict::accepted);
    const TemporaryDirectory directory;
    std::ofstream{directory.file("krb5.conf")} << "[libdefaults]\ndns_lookup_kdc = false\n"
                                               << "default_realm = EXAMPLE.TEST\n"
                                               << "[realms]\nLISTED.TEST = {\n}\nrelation = RELATED.TEST\n"
                                               << "[domain_realm]\n.mapped.test = MAPPED.TEST\n";
    ::setenv("KRB5_CONFIG", directory.file("krb5.conf").c_str(), 1);
    for (const std::string realm : {"LISTED.TEST", "MAPPED.TEST", "EXAMPLE.TEST"}) {
        CAPTURE(realm);
        outage_of(backend, {"alice@" + realm, password}); // somebody is looked for
        outage_of(backend, {"alice", password, realm});
    }
    for (const std::string realm : {"ELSEWHERE.TEST", "RELATED.TEST", ".mapped.test", "relation"}) {
        CAPTURE(realm);
        CHECK(verdict_of(backend, {"alice", password, realm}) == Verdict::unknown_user);
    }
    std::ofstream{directory.file("krb5.conf")} << "[libdefaults]\ndns_lookup_kdc = false\n";
    outage_of(backend, {"alice", password, "ELSEWHERE.TEST"}); // without a default realm nobody can say
    source.kdc.be_asked();
}

TEST_CASE("a password ends where it ends", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK(verdict_of(backend, {"alice", std::string{"s3cret pass\0x", 13}}) == Verdict::rejected);
    CHECK(verdict_of(backend, {source.maximal().user, source.maximal().password}) == Verdict::accepted);
    CHECK(verdict_of(backend, {"alice", password}) == Verdict::accepted); // and leaves nothing behind it
}

TEST_CASE("the instance of a service is put to every user", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("alice/mail", "mails");
    LoadedBackend backend{"kerberos5", source.options_with("krb5_instances", "smtp=out imap=mail")};
    for (const std::string user : {"alice", "alice@EXAMPLE.TEST", "alice/mail", "alice/mail@EXAMPLE.TEST"}) {
        CAPTURE(user);
        CHECK(verdict_of(backend, {user, "mails"}) == Verdict::accepted);
        CHECK(verdict_of(backend, {user, password}) == Verdict::rejected);
        CHECK(is_refusal(verdict_of(backend, {user, "mails", "", "smtp"})));
    }
    CHECK(verdict_of(backend, {"alice", password, "", "sieve"}) == Verdict::accepted); // has none
    CHECK(verdict_of(backend, {"alice", "mails", "EXAMPLE.TEST"}) == Verdict::accepted);
}

TEST_CASE("the instance of a service counts in whatever case the service is written", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("alice/mail", "mails");
    LoadedBackend backend{"kerberos5", source.options_with("krb5_instances", "Imap=mail")};
    for (const std::string service : {"imap", "IMAP", "Imap"}) {
        CAPTURE(service);
        CHECK(verdict_of(backend, {"alice", "mails", "", service}) == Verdict::accepted);
        CHECK(verdict_of(backend, {"alice", password, "", service}) == Verdict::rejected);
    }
}

TEST_CASE("a user cannot choose another instance than that of the service", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("alice/mail", "mails");
    source.kdc.add("alice/admin", "admins");
    source.kdc.add("alice\\/mail", "odds");
    LoadedBackend backend{"kerberos5", source.options_with("krb5_instances", "imap=mail")};
    CHECK(verdict_of(backend, {"alice/admin", "admins"}) == Verdict::rejected);
    CHECK(verdict_of(backend, {"alice/mail/admin", "admins"}) == Verdict::rejected);
    CHECK(verdict_of(backend, {"alice\\", "odds"}) == Verdict::rejected);
    CHECK(verdict_of(backend, {"alice", "mails"}) == Verdict::accepted);
}

TEST_CASE("the first dot of a user stands for a slash where that is wanted", "[kerberos5]")
{
    KerberosSource source;
    source.kdc.add("alice/admin", "admins");
    source.kdc.add("alice.admin", "dots");
    source.kdc.add("bob/b.c", "bobs");
    LoadedBackend as_ever{"kerberos5", source.options()};
    CHECK(verdict_of(as_ever, {"alice.admin", "dots"}) == Verdict::accepted);
    LoadedBackend backend{"kerberos5", source.options_with("krb5_conv_krb4_instance", "yes")};
    CHECK(verdict_of(backend, {"alice.admin", "admins"}) == Verdict::accepted);
    CHECK(verdict_of(backend, {"alice.admin", "dots"}) == Verdict::rejected);
    CHECK(verdict_of(backend, {"bob.b.c", "bobs"}) == Verdict::accepted);
    CHECK(verdict_of(backend, {"alice@EXAMPLE.TEST", password}) ==
          Verdict::accepted); // a realm keeps its dots
    CHECK(verdict_of(backend, {"alice.admin@EXAMPLE.TEST", "admins"}) == Verdict::accepted);
}

TEST_CASE("the first ticket may be one for another service", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options_with("krb5_servername", Kdc::host_principal)};
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
    CHECK(verdict_of(backend, {"alice", "not-it"}) == Verdict::rejected);
    LoadedBackend unknown{"kerberos5", source.options_with("krb5_servername", "no/body")};
    CHECK_THAT(outage_of(unknown, source.known()), Catch::Contains("krb5_get_init_creds_password: "));
}

TEST_CASE("who answers in the place of the KDC lets nobody in", "[kerberos5]")
{
    KerberosSource source;
    const Kdc impostor; // who knows the realm's names and none of its keys, and whom we ask now
    impostor.add("alice", "chosen by a stranger");
    const Login stranger{"alice", "chosen by a stranger"};
    LoadedBackend fooled{"kerberos5", source.options_with("krb5_keytab", impostor.keytab())};
    CHECK(verdict_of(fooled, stranger) == Verdict::accepted); // so the impostor is a good one
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK_THAT(outage_of(backend, stranger), Catch::Contains("krb5_verify_init_creds: "));
    source.kdc.be_asked();
    CHECK(verdict_of(backend, stranger) == Verdict::rejected);
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
}

TEST_CASE("nobody is let in without a key to verify the ticket with", "[kerberos5]")
{
    KerberosSource source;
    const TemporaryDirectory directory;
    const std::string keytab = directory.file("keytab");
    LoadedBackend backend{"kerberos5", source.options_with("krb5_keytab", keytab)};
    CHECK_THAT(outage_of(backend, source.known()), Catch::Contains("krb5_verify_init_creds: "));
    CHECK(verdict_of(backend, {"alice", "not-it"}) == Verdict::rejected);

    std::ofstream{keytab} << "this is no keytab";
    outage_of(backend, source.known());

    std::filesystem::remove(keytab);
    source.kdc.add_with_random_key("host/elsewhere.postern.test");
    source.kdc.write_keytab(keytab, "host/elsewhere.postern.test");
    outage_of(backend, source.known()); // another host's key

    source.kdc.write_keytab(keytab, Kdc::host_principal);
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);

    LoadedBackend with_old_key{"kerberos5", source.options()}; // the line above has made new ones
    outage_of(with_old_key, source.known());
}

TEST_CASE("an empty keytab is the host's own", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options_with("krb5_keytab", "")};
    ::setenv("KRB5_KTNAME", source.kdc.keytab().c_str(), 1);
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
    ::setenv("KRB5_KTNAME", "/nonexistent/keytab", 1);
    CHECK_THAT(outage_of(backend, source.known()), Catch::Contains("/nonexistent/keytab"));
    ::unsetenv("KRB5_KTNAME");
}

TEST_CASE("an outage of the KDC says who could not be asked, and heals", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options()};
    source.kdc.stop();
    CHECK(outage_of(backend, source.known()) ==
          "auth_krb5: krb5_get_init_creds_password: "
          "Cannot contact any KDC for realm 'EXAMPLE.TEST' (-1765328228)");
    outage_of(backend, source.unknown());
    source.kdc.start();
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
}

TEST_CASE("a krb5.conf that is not there yet is read when it is", "[kerberos5]")
{
    KerberosSource source;
    LoadedBackend backend{"kerberos5", source.options()};
    ::setenv("KRB5_CONFIG", "/nonexistent/krb5.conf", 1);
    outage_of(backend, source.known());
    outage_of(backend, {"alice@EXAMPLE.TEST", password}); // who is there is not known
    source.kdc.be_asked();
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
}

TEST_CASE("no ticket reaches the disk", "[kerberos5]")
{
    KerberosSource source;
    const TemporaryDirectory directory;
    ::setenv("KRB5CCNAME", ("FILE:" + directory.file("tickets")).c_str(), 1);
    ::setenv("KRB5RCACHEDIR", directory.path().c_str(), 1);
    LoadedBackend backend{"kerberos5", source.options()};
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
    CHECK(std::filesystem::is_empty(directory.path()));
    ::unsetenv("KRB5CCNAME");
    ::unsetenv("KRB5RCACHEDIR");
}

TEST_CASE("kerberos5 wants instances that make sense", "[kerberos5]")
{
    KerberosSource source;
    for (const char* text : {"imap", "=mail", "imap=", "imap=mail smtp"})
        CHECK_THROWS_AS((LoadedBackend{"kerberos5", source.options_with("krb5_instances", text)}),
                        BackendError);
    CHECK_THROWS_AS((LoadedBackend{"kerberos5", {}}), BackendError);
}

} // namespace postern
