// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"
#include "tests/support/backend_contract.hpp"
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/scripted_directory.hpp"
#include "tests/support/slapd.hpp"

#include <signal.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

namespace postern {

namespace {

using namespace std::chrono_literals;

const std::string people = "ou=people,dc=example,dc=org";
const std::string groups = "ou=groups,dc=example,dc=org";
const Login alice{"alice", "s3cret pass"};

/// An entry of a person, in LDIF. `name` is its RDN, as it is.
std::string person(const std::string& name, const std::string& lines)
{
    return "dn: " + name +
           ",ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: extensibleObject\n" +
           "sn: person\n" + lines + "\n\n";
}

/// A server is busy with it for longer than anybody waits.
const std::string slow_password = "userPassword: {CRYPT}$6$rounds=999999999$salt$" + std::string(86, '.');

/// The directory that most cases ask.
std::string entries()
{
    const std::string unit = "objectClass: organizationalUnit\n\n";
    return "dn: " + people + "\n" + unit + "dn: " + groups + "\n" + unit +
           "dn: cn=service,dc=example,dc=org\nobjectClass: person\nsn: service\nuserPassword: service "
           "pass\n\n" +
           person("cn=alice", "uid: alice\nuserPassword: s3cret pass") +
           person("cn=bob",
                  "uid: bob\nuserPassword: old\nuserPassword: {SSHA}mu/4E8Xn/ZBspZYbLnxGSsqV2DHO9Oab") +
           person("cn=eight", "uid: \xc3\xa4l\xc3\xafs\nuserPassword:: w6mA/wE=") +
           person("cn=maximal",
                  "uid: " + std::string(1024, 'u') + "\nuserPassword: " + std::string(1024, 'p')) +
           person("cn=twin1", "uid: twin\nuserPassword: twins") +
           person("cn=twin2", "uid: twin\nuserPassword: twins") +
           person("cn=passwordless", "uid: passwordless") + person("cn=slow", "uid: slow\n" + slow_password) +
           person("cn=hidden", "uid: hidden\nuserPassword: hiddens") +
           person("cn=plain \\2b star", "uid: *)(uid=*\nuserPassword: stars") +
           person("cn=a\\2cb", "uid: a,b\nuserPassword: commas") +
           person("cn=locked", "uid: locked\nuserPassword: lockeds\npwdAccountLockedTime: 000001010000Z\n"
                               "pwdPolicySubentry: cn=strict,dc=example,dc=org") +
           person("cn=expired", "uid: expired\nuserPassword: expireds\npwdChangedTime: 20000101000000Z\n"
                                "pwdPolicySubentry: cn=strict,dc=example,dc=org") +
           person("cn=reset", "uid: reset\nuserPassword: resets\npwdReset: TRUE\n"
                              "pwdPolicySubentry: cn=strict,dc=example,dc=org") +
           "dn: cn=mail," + groups + "\nobjectClass: groupOfUniqueNames\nuniqueMember: cn=alice," + people +
           "\n\n" +
           "dn: cn=strict,dc=example,dc=org\nobjectClass: device\nobjectClass: pwdPolicy\npwdAttribute: "
           "userPassword\n"
           "pwdLockout: TRUE\npwdMustChange: TRUE\npwdMaxAge: 86400\n\n" +
           "dn: ou=elsewhere," + people +
           "\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\n"
           "ref: ldap://127.0.0.1:1/dc=elsewhere\n\n";
}

SlapdSetup usual_setup()
{
    SlapdSetup setup;
    setup.entries = entries();
    setup.global_lines =
        "sasl-host localhost\nsasl-secprops none\n"
        "authz-regexp \"uid=([^,]+),cn=[^,]+,cn=auth\" \"cn=$1,ou=people,dc=example,dc=org\"\n";
    setup.database_lines =
        "overlay ppolicy\nppolicy_use_lockout\n"
        "access to dn.exact=cn=hidden,ou=people,dc=example,dc=org attrs=userPassword by anonymous "
        "auth by * none\naccess to * by * read\n";
    return setup;
}

/// The options of the type, with other values for some.
BackendOptions options(const BackendOptions& changed)
{
    BackendOptions made;
    for (const BackendOption& option : find_backend_type("ldap")->options)
        made.emplace(option.key, option.default_value);
    for (const auto& [key, value] : changed)
        made.at(key) = value;
    return made;
}

BackendOptions service_options(const std::string& servers, const BackendOptions& changed = {})
{
    BackendOptions made = options({{"ldap_servers", servers},
                                   {"ldap_bind_dn", "cn=service,dc=example,dc=org"},
                                   {"ldap_password", "service pass"},
                                   {"ldap_search_base", people}});
    for (const auto& [key, value] : changed)
        made.at(key) = value;
    return made;
}

BackendOptions fastbind_options(const std::string& servers, const BackendOptions& changed = {})
{
    BackendOptions made = options(
        {{"ldap_servers", servers}, {"ldap_auth_method", "fastbind"}, {"ldap_filter", "cn=%u," + people}});
    for (const auto& [key, value] : changed)
        made.at(key) = value;
    return made;
}

class DirectorySource final : public ContractSource {
public:
    explicit DirectorySource(const std::string& method) : method_{method} {}

    [[nodiscard]] std::string type() const override { return "ldap"; }
    [[nodiscard]] BackendOptions options() const override
    {
        return service_options(slapd_.uri(), {{"ldap_auth_method", method_}});
    }
    [[nodiscard]] Login known() const override { return alice; }
    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass"}; }
    [[nodiscard]] Login eight_bit() const override { return {"\xc3\xa4l\xc3\xafs", "\xc3\xa9\x80\xff\x01"}; }
    [[nodiscard]] Login maximal() const override
    {
        return {std::string(1024, 'u'), std::string(1024, 'p'), std::string(1024, 'r'),
                std::string(1024, 's')};
    }
    [[nodiscard]] Login break_down() override
    {
        slapd_.kill();
        return known();
    }

private:
    std::string method_;
    Slapd slapd_{usual_setup()};
};

/// As in a worker.
[[maybe_unused]] const bool is_without_sigpipe = ::signal(SIGPIPE, SIG_IGN) != SIG_ERR;

struct DirectoryTest {
    Slapd slapd{usual_setup()};

    [[nodiscard]] LoadedBackend backend(const BackendOptions& changed = {}) const
    {
        return LoadedBackend{"ldap", service_options(slapd.uri(), changed)};
    }
    [[nodiscard]] LoadedBackend fastbind(const BackendOptions& changed = {}) const
    {
        return LoadedBackend{"ldap", fastbind_options(slapd.uri(), changed)};
    }
};

using ldap_wire::ber;
using ldap_wire::success;

/// A server's answer to the first question on a connection, which is a bind.
std::string bind_answer(const std::string& result, const std::string& diagnostic = "",
                        const std::string& controls = "")
{
    return ldap_wire::result(1, ldap_wire::bind_response, result, diagnostic, controls);
}

const std::string policy_oid = "1.3.6.1.4.1.42.2.27.8.5.1";

std::string policy_control(char error)
{
    return ldap_wire::control(policy_oid, ber(0x30, ber('\x81', std::string(1, error))));
}

/// Finds alice and bob, and says yes to everything, but what `script` says otherwise.
ScriptedDirectory::Script otherwise_yes(const ScriptedDirectory::Script& script)
{
    return [script](const ScriptedDirectory::Question& question) {
        using namespace ldap_wire;
        if (const std::string said = script(question); !said.empty())
            return said;
        if (question.kind == bind_request)
            return result(question.id, bind_response, success);
        const std::string name = question.names("bob") ? "cn=bob," : "cn=alice,";
        return entry(question.id, name + people) + result(question.id, search_done, success);
    };
}

std::string nothing_else(const ScriptedDirectory::Question&)
{
    return "";
}

} // namespace

TEST_CASE("ldap keeps the backend contract", "[ldap]")
{
    DirectorySource source{GENERATE("bind", "custom")};
    keeps_the_backend_contract(source);
}

// ---- methods

TEST_CASE_METHOD(DirectoryTest, "a login is two questions, and a wrong password costs no connection",
                 "[ldap]")
{
    LoadedBackend ldap = backend();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    for (int i = 0; i < 3; ++i)
        CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    slapd.wait_for_log(" BIND dn=\"cn=alice", 5);
    CHECK(slapd.times_logged(" ACCEPT ") == 2);
    CHECK(slapd.times_logged(" BIND dn=\"cn=service,dc=example,dc=org\" method=128") == 1);
    CHECK(slapd.times_logged(" SRCH base=") == 5);
}

TEST_CASE_METHOD(DirectoryTest, "with custom any value of the attribute may be the password", "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_auth_method", "custom"}});
    CHECK(verdict_of(ldap, {"bob", "old"}) == Verdict::accepted);
    CHECK(verdict_of(ldap, {"bob", "s3cret"}) == Verdict::accepted);
    CHECK(verdict_of(ldap, {"bob", "{SSHA}mu/4E8Xn/ZBspZYbLnxGSsqV2DHO9Oab"}) == Verdict::rejected);
}

TEST_CASE_METHOD(DirectoryTest,
                 "a user without a password is refused, one whose password is hidden from us is not",
                 "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_auth_method", "custom"}});
    CHECK(ldap.check({"passwordless", "x"}).reason == "the user has no userPassword");
    CHECK_THAT(outage_of(ldap, {"hidden", "hiddens"}), Catch::StartsWith("userPassword cannot be read"));
    LoadedBackend binding = backend();
    CHECK(verdict_of(binding, {"hidden", "hiddens"}) == Verdict::accepted);
    CHECK(verdict_of(binding, {"passwordless", "x"}) == Verdict::rejected);
}

TEST_CASE_METHOD(DirectoryTest, "fastbind asks once, and binds as nobody but the user", "[ldap]")
{
    LoadedBackend ldap = fastbind();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    CHECK(verdict_of(ldap, {"nobody", "x"}) == Verdict::rejected);
    CHECK(verdict_of(ldap, {"a,b", "commas"}) == Verdict::accepted);
    CHECK(verdict_of(ldap, {"plain + star", "stars"}) == Verdict::accepted);
    CHECK(verdict_of(ldap, with_password(alice, "")) == Verdict::rejected);
    slapd.wait_for_log(" BIND dn=", 5);
    CHECK(slapd.times_logged(" ACCEPT ") == 1);
    CHECK(slapd.times_logged(" SRCH ") == 0);
}

TEST_CASE_METHOD(DirectoryTest, "a password that was changed is asked for again, on a connection still bound",
                 "[ldap]")
{
    LoadedBackend ldap = fastbind();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    const ProgramRun changed = run_program(
        "/usr/bin/ldappasswd", {"ldappasswd", "-x", "-H", slapd.uri(), "-D", "cn=root,dc=example,dc=org",
                                "-w", "root", "-s", "newer", "cn=alice," + people});
    REQUIRE(changed.status == 0);
    CHECK(verdict_of(ldap, alice) == Verdict::rejected);
    CHECK(verdict_of(ldap, with_password(alice, "newer")) == Verdict::accepted);
}

TEST_CASE_METHOD(DirectoryTest, "a user whom SASL knows needs no DN", "[ldap]")
{
    LoadedBackend ldap = fastbind({{"ldap_auth_method", "bind"}, // which SASL makes fastbind
                                   {"ldap_use_sasl", "yes"},
                                   {"ldap_sasl_secprops", "none"},
                                   {"ldap_mech", GENERATE("PLAIN", "SCRAM-SHA-256")},
                                   {"ldap_group_dn", "cn=mail," + groups}});
    for (int i = 0; i < 2; ++i) {
        CHECK(verdict_of(ldap, alice) == Verdict::accepted);
        CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    }
    CHECK(verdict_of(ldap, {"eight", "\xc3\xa9"}) == Verdict::rejected);
}

TEST_CASE_METHOD(DirectoryTest, "a mechanism that asks for no password lets nobody in", "[ldap]")
{
    LoadedBackend ldap{
        "ldap", fastbind_options(slapd.ldapi_uri(), {{"ldap_use_sasl", "yes"}, {"ldap_mech", "EXTERNAL"}})};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("does not ask for a password"));
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE_METHOD(DirectoryTest, "a service bind that cannot be done lets nobody search as nobody", "[ldap]")
{
    LoadedBackend ldap = backend(
        {{"ldap_auth_method", "custom"}, {"ldap_use_sasl", "yes"}, {"ldap_mech", "NO-SUCH-MECHANISM"}});
    for (int i = 0; i < 3; ++i)
        CHECK_THAT(outage_of(ldap, alice), Catch::StartsWith("SASL: "));
    CHECK(slapd.times_logged(" SRCH ") == 0);
}

TEST_CASE_METHOD(DirectoryTest, "a name with a NUL is nobody's, whatever SASL would take it for", "[ldap]")
{
    const std::string method = GENERATE("bind", "custom", "fastbind");
    LoadedBackend ldap = fastbind({{"ldap_auth_method", method},
                                   {"ldap_use_sasl", "yes"},
                                   {"ldap_sasl_secprops", "none"},
                                   {"ldap_mech", "PLAIN"}});
    for (const auto& [user, realm] : {std::pair<std::string, std::string>{{"alice\0x", 7}, ""},
                                      {{"alice\0", 6}, ""},
                                      {{"\0alice", 6}, ""},
                                      {"alice", {"\0", 1}},
                                      {"alice", {"x\0y", 3}}})
        CHECK(verdict_of(ldap, {user, alice.password, realm}) == Verdict::rejected);
    CHECK(slapd.times_logged(" ACCEPT ") == 0);
}

TEST_CASE("a server that does not show its mechanisms says nothing about a password", "[ldap]")
{
    SlapdSetup setup = usual_setup();
    setup.global_lines += "access to dn.base=\"\" by * none\n";
    const Slapd slapd{setup};
    LoadedBackend ldap{"ldap", fastbind_options(slapd.uri(), {{"ldap_use_sasl", "yes"}})};
    CHECK_THAT(outage_of(ldap, alice), Catch::StartsWith("SASL: "));
    CHECK(slapd.times_logged(" BIND ") == 0);
}

TEST_CASE("of the SASL library's faults only those are about the user that a name nobody has makes", "[ldap]")
{
    const auto [said, is_about_user] = GENERATE(table<std::string, bool>({
        {"SASL(-1): generic failure: unable to canonify user and get auxprops", true},
        {"SASL(-13): user not found: no secret in database", true},
        {"SASL(-2): no memory available: ", false},
        {"SASL(-17): One time use of a plaintext password", false},
        {"internal error", false},
    }));
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {bind_answer("\x50", said)}};
    LoadedBackend ldap{
        "ldap",
        fastbind_options(ldapi_uri_of(directory.file("socket")),
                         {{"ldap_use_sasl", "yes"}, {"ldap_mech", "PLAIN"}, {"ldap_sasl_secprops", "none"}})};
    if (is_about_user)
        for (const std::string password : {"x", "SASL", "fail"}) // also when it is in the words
            CHECK(verdict_of(ldap, with_password(alice, password)) == Verdict::rejected);
    else
        CHECK_THAT(outage_of(ldap, with_password(alice, "looking-glass")), Catch::Contains(said));
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE("a server that is silent before a bind by SASL has failed, and one that is silent at it has not",
          "[ldap]")
{
    const std::string mechanism = GENERATE("", "PLAIN");
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {std::nullopt}};
    LoadedBackend ldap{
        "ldap", fastbind_options(ldapi_uri_of(directory.file("socket")), {{"ldap_use_sasl", "yes"},
                                                                          {"ldap_mech", mechanism},
                                                                          {"ldap_sasl_secprops", "none"},
                                                                          {"ldap_timeout", "500ms"}})};
    outage_of(ldap, alice);
    CHECK(ldap.servers.failures.size() == (mechanism.empty() ? 1 : 0));
    CHECK(ldap.servers.doubts.size() == (mechanism.empty() ? 0 : 1));
}

TEST_CASE_METHOD(DirectoryTest, "who searches may be known by the socket", "[ldap]")
{
    LoadedBackend ldap{"ldap", options({{"ldap_servers", slapd.ldapi_uri()},
                                        {"ldap_search_base", people},
                                        {"ldap_auth_method", "custom"},
                                        {"ldap_use_sasl", "yes"},
                                        {"ldap_mech", "EXTERNAL"}})};
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(slapd.times_logged("cn=peercred,cn=external,cn=auth") > 0);
}

// ---- names

TEST_CASE_METHOD(DirectoryTest, "a name is a value in the filter, whatever is in it", "[ldap]")
{
    LoadedBackend ldap = backend();
    CHECK(verdict_of(ldap, {"*)(uid=*", "stars"}) == Verdict::accepted);
    for (const std::string user : {"*", "alic*", "alice)(cn=*", "a)(|(uid=alice", "\\61lice", "%u", "\\"})
        CHECK(verdict_of(ldap, {user, alice.password}) == Verdict::unknown_user);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE_METHOD(DirectoryTest, "a name is a value in the search base, whatever is in it", "[ldap]")
{
    LoadedBackend ldap =
        backend({{"ldap_search_base", "ou=%s,dc=example,dc=org"}, {"ldap_filter", "(&(uid=%U)(sn=*))"}});
    CHECK(verdict_of(ldap, {"alice@anything", alice.password, "", "people"}) == Verdict::accepted);
    for (const std::string service :
         {"people,dc=example,dc=org", "nowhere", "people+ou=x", "", "#", "\xff\xfe", "people\\", "\""})
        CHECK(verdict_of(ldap, {"alice", alice.password, "", service}) == Verdict::unknown_user);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE_METHOD(DirectoryTest, "several entries are nobody's, and the limits do not change that", "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_size_limit", GENERATE("0", "1", "5")}});
    const Decision decision = ldap.check({"twin", "twins"});
    CHECK(decision.verdict == Verdict::rejected);
    CHECK(decision.reason == "several entries match");
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE_METHOD(DirectoryTest, "a base that is missing is an outage with a cause, and not the server's",
                 "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_search_base", "ou=nowhere,dc=example,dc=org"}});
    CHECK_THAT(outage_of(ldap, alice), Catch::StartsWith("ldap_search_base is missing"));
    CHECK(ldap.servers.failures.empty());
}

// ---- groups

TEST_CASE_METHOD(DirectoryTest, "who is not in the group is barred, and the password was right", "[ldap]")
{
    const BackendOptions group =
        GENERATE(BackendOptions{{"ldap_group_dn", "cn=mail,ou=groups,dc=example,dc=org"}},
                 BackendOptions{{"ldap_group_dn", "cn=%s,ou=groups,dc=example,dc=org"}},
                 BackendOptions{{"ldap_group_match_method", "filter"},
                                {"ldap_group_filter", "(&(cn=mail)(uniqueMember=%D))"},
                                {"ldap_group_search_base", "ou=groups,dc=example,dc=org"}});
    const std::string method = GENERATE("bind", "custom", "fastbind");
    BackendOptions changed = group;
    changed["ldap_auth_method"] = method;
    LoadedBackend ldap = method == "fastbind" ? fastbind(changed) : backend(changed);
    CHECK(verdict_of(ldap, {"alice", "s3cret pass", "", "mail"}) == Verdict::accepted);
    CHECK(verdict_of(ldap, {"alice", "not-it", "", "mail"}) == Verdict::rejected);
    const Decision outside = ldap.check({"bob", "old", "", "mail"});
    CHECK(outside.verdict == Verdict::barred);
    CHECK(outside.password_was_right);
    CHECK(outside.reason == "not in the group");
    CHECK(verdict_of(ldap, {"bob", "not-it", "", "mail"}) == Verdict::rejected);
}

TEST_CASE_METHOD(DirectoryTest, "a group that does not exist is an outage, unless the user names it",
                 "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_group_dn", "cn=nobody," + groups}});
    CHECK_THAT(outage_of(ldap, alice), Catch::StartsWith("the group: no such object"));
    LoadedBackend named = backend({{"ldap_group_dn", "cn=%s," + groups}});
    CHECK(named.check({"alice", "s3cret pass", "", "nobody"}).reason == "there is no such group");
}

// ---- accounts

TEST_CASE_METHOD(DirectoryTest, "an account that may not log in is barred, with the reason", "[ldap]")
{
    LoadedBackend ldap = backend();
    const auto [user, reason] = GENERATE(table<std::string, std::string>({
        {"locked", "the account is locked"},
        {"expired", "the password has expired"},
        {"reset", "the password must be changed first"},
    }));
    CAPTURE(user);
    const Decision decision = ldap.check({user, user + "s"});
    CHECK(decision.verdict == Verdict::barred);
    CHECK(decision.reason == reason);
    CHECK(decision.password_was_right == (user == "reset")); // the only one whose bind succeeds
}

TEST_CASE("a bind that succeeds with an expired password lets nobody in, by SASL neither", "[ldap]")
{
    const std::string of_389 = "2.16.840.1.113730.3.4.4";
    const std::string control = GENERATE_COPY(policy_control(0), ldap_wire::control(of_389, "0"));
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {bind_answer(success, "", control)}};
    LoadedBackend ldap{"ldap", fastbind_options(ldapi_uri_of(directory.file("socket")),
                                                {{"ldap_use_sasl", GENERATE("no", "yes")},
                                                 {"ldap_mech", "PLAIN"},
                                                 {"ldap_sasl_secprops", "none"}})};
    const Decision decision = ldap.check(alice);
    CHECK(decision.verdict == Verdict::barred);
    CHECK(decision.reason == "the password has expired");
    CHECK(decision.password_was_right);
}

TEST_CASE("a bind that succeeds with a word of the password policy that makes no sense lets nobody in",
          "[ldap]")
{
    const std::string damaged = GENERATE("", "x", "\x30\x05\x81\x01", "\x30\x03\x85\x01\x00");
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"),
                             {bind_answer(success, "", ldap_wire::control(policy_oid, damaged))}};
    LoadedBackend ldap{"ldap", fastbind_options(ldapi_uri_of(directory.file("socket")),
                                                {{"ldap_use_sasl", GENERATE("no", "yes")},
                                                 {"ldap_mech", "PLAIN"},
                                                 {"ldap_sasl_secprops", "none"}})};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("no answer that makes sense"));
}

TEST_CASE("a mechanism that is too weak for the server says nothing about a password", "[ldap]")
{
    SlapdSetup setup = usual_setup();
    setup.global_lines.replace(setup.global_lines.find("sasl-secprops none"), 18,
                               "sasl-secprops none,minssf=56");
    const Slapd slapd{setup};
    LoadedBackend ldap{"ldap", fastbind_options(slapd.uri(), {{"ldap_use_sasl", "yes"},
                                                              {"ldap_mech", "PLAIN"},
                                                              {"ldap_sasl_secprops", "none"}})};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("(48): SASL(-15)"));
    CHECK(ldap.servers.failures.empty());
}

// ---- servers

TEST_CASE("what is no answer to the bind is an outage", "[ldap]")
{
    const std::string sent = GENERATE_COPY(
        std::string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, std::string{"\x30\x84\x7f\xff\xff\xff", 6},
        std::string{"\x30", 1}, bind_answer({"\0", 1}).substr(0, 8), std::string(4096, '\0'),
        bind_answer({"\x01\0\0", 3}), // 65536 is no success
        ldap_wire::result(1, ldap_wire::search_done, success), bind_answer("\x33"), bind_answer("\x34"),
        bind_answer("\x50"), bind_answer("\x08"), bind_answer("\x0e"));
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {sent}};
    LoadedBackend ldap{"ldap",
                       fastbind_options(ldapi_uri_of(directory.file("socket")), {{"ldap_timeout", "2"}})};
    outage_of(ldap, alice);
}

TEST_CASE("a server that repeats the password does not get it into a log", "[ldap]")
{
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {bind_answer("\x08", "is it s3cret pass?")}};
    LoadedBackend ldap{"ldap", fastbind_options(ldapi_uri_of(directory.file("socket")))};
    CHECK_THAT(outage_of(ldap, alice), !Catch::Contains("s3cret"));
}

TEST_CASE("nor a part of it, wherever it is in a long text, nor by SASL", "[ldap]")
{
    const std::string before = GENERATE(std::string(155, 'x'), std::string(152, 'x'), std::string{});
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {bind_answer("\x08", before + alice.password)}};
    const std::string mechanism = GENERATE("", "PLAIN");
    LoadedBackend ldap{"ldap", fastbind_options(ldapi_uri_of(directory.file("socket")),
                                                {{"ldap_use_sasl", mechanism.empty() ? "no" : "yes"},
                                                 {"ldap_mech", mechanism},
                                                 {"ldap_sasl_secprops", "none"}})};
    CHECK_THAT(outage_of(ldap, alice), !Catch::Contains("s3c"));
}

TEST_CASE("nor the password of the service identity", "[ldap]")
{
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {bind_answer("\x31", "is it service pass?")}};
    LoadedBackend ldap{"ldap", service_options(ldapi_uri_of(directory.file("socket")))};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("refused") && !Catch::Contains("service pass"));
    REQUIRE(ldap.servers.failures.size() == 1);
    CHECK_THAT(ldap.servers.failures[0].second, !Catch::Contains("service pass"));
}

TEST_CASE("a socket at which too many wait is waited for", "[ldap]")
{
    const TemporaryDirectory directory;
    const UniqueFd busy = listen_at(directory.file("socket"));
    REQUIRE(::listen(busy.get(), 0) == 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    directory.file("socket").copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd who_waits{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    check(::connect(who_waits.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
    LoadedBackend ldap{"ldap",
                       service_options(ldapi_uri_of(directory.file("socket")), {{"ldap_timeout", "500ms"}})};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("Connection timed out"));
}

TEST_CASE(
    "a server that says in answer to a user's bind that it cannot now has not failed, and the next is asked",
    "[ldap]")
{
    const TemporaryDirectory directory;
    const std::string said = GENERATE("\x33", "\x34", "\x50");
    const ReplyServer first{directory.file("first"), {bind_answer(said)}};
    const ReplyServer second{directory.file("second"), {bind_answer({"\0", 1}), bind_answer("\x31")}};
    LoadedBackend ldap{"ldap", fastbind_options(ldapi_uri_of(directory.file("first")) + ' ' +
                                                ldapi_uri_of(directory.file("second")))};
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(verdict_of(ldap, alice) == Verdict::rejected);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE("a server that thinks for long about a password has not failed, and the next is asked", "[ldap]")
{
    SlapdSetup setup = usual_setup();
    const Slapd first{setup};
    const std::string::size_type at = setup.entries.find(slow_password);
    setup.entries.replace(at, slow_password.size(), "userPassword: slows");
    const Slapd second{setup};
    LoadedBackend ldap{"ldap", service_options(first.uri() + ' ' + second.uri(), {{"ldap_timeout", "2s"}})};
    CHECK(verdict_of(ldap, {"slow", "slows"}) == Verdict::accepted);
    CHECK(first.times_logged(" BIND dn=\"cn=slow") == 1);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE("what a server does when a user binds is not its failure, and the next is asked", "[ldap]")
{
    const std::string what =
        GENERATE(std::string{ScriptedDirectory::silence}, std::string{ScriptedDirectory::hang_up});
    const bool is_found_first = GENERATE(false, true);
    const bool is_kept = GENERATE(false, true);
    const TemporaryDirectory directory;
    const ScriptedDirectory first{
        directory.file("first"), otherwise_yes([&](const auto& question) {
            return question.kind == ldap_wire::bind_request && question.names("cn=alice") ? what : "";
        })};
    const ScriptedDirectory second{directory.file("second"), otherwise_yes(nothing_else)};
    const std::string servers =
        ldapi_uri_of(directory.file("first")) + ' ' + ldapi_uri_of(directory.file("second"));
    LoadedBackend ldap{"ldap", is_found_first ? service_options(servers, {{"ldap_timeout", "2s"}})
                                              : fastbind_options(servers, {{"ldap_timeout", "2s"}})};
    if (is_kept)
        CHECK(verdict_of(ldap, {"bob", "x"}) == Verdict::accepted);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.servers.failures.empty());
    CHECK(ldap.servers.doubts.size() == (what == ScriptedDirectory::silence ? 1 : 0));
}

TEST_CASE("a server that gives up a search has not failed, and the next is asked", "[ldap]")
{
    const std::string limit = GENERATE("\x03", "\x04", "\x0b");
    const BackendOptions group =
        GENERATE(BackendOptions{},
                 BackendOptions{{"ldap_group_match_method", "filter"}, {"ldap_group_filter", "(cn=mail)"}});
    const TemporaryDirectory directory;
    const ScriptedDirectory first{
        directory.file("first"), otherwise_yes([&](const auto& question) {
            const bool is_about_limit =
                question.kind == ldap_wire::search_request && (group.empty() || question.names("mail"));
            return is_about_limit ? ldap_wire::result(question.id, ldap_wire::search_done, limit) : "";
        })};
    const ScriptedDirectory second{directory.file("second"), otherwise_yes(nothing_else)};
    LoadedBackend ldap{"ldap", service_options(ldapi_uri_of(directory.file("first")) + ' ' +
                                                   ldapi_uri_of(directory.file("second")),
                                               group)};
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE("what is no answer to a question is not collected", "[ldap]")
{
    const BackendOptions asks_first = GENERATE(BackendOptions{}, BackendOptions{{"ldap_start_tls", "yes"}});
    const TemporaryDirectory directory;
    const ScriptedDirectory server{directory.file("socket"), [](const auto& question) {
                                       return ScriptedDirectory::endlessly(
                                           ldap_wire::entry(question.id, "cn=x"));
                                   }};
    LoadedBackend ldap{"ldap", service_options(ldapi_uri_of(directory.file("socket")), asks_first)};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("an answer to another question"));
}

TEST_CASE_METHOD(DirectoryTest, "a server that nobody had the time to ask has not failed", "[ldap]")
{
    const bool is_found_first = GENERATE(false, true);
    LoadedBackend ldap = is_found_first ? backend() : fastbind();
    slapd.stop();
    ldap.servers.time = GENERATE(0ms, 3ms, 200ms);
    outage_of(ldap, alice);
    CHECK(ldap.servers.failures.empty());
    ldap.servers.time = 2s;
    outage_of(ldap, alice);
    CHECK(ldap.servers.failures.size() == (is_found_first ? 1 : 0));
    CHECK(ldap.servers.doubts.size() == (is_found_first ? 0 : 1)); // was it the user?
}

struct TwoDirectories {
    Slapd first{usual_setup()};
    Slapd second{usual_setup()};

    [[nodiscard]] LoadedBackend backend(const BackendOptions& changed = {}) const
    {
        return LoadedBackend{"ldap", service_options(first.uri() + ' ' + second.uri(), changed)};
    }
};

TEST_CASE_METHOD(TwoDirectories, "when a server is down the next is asked, and the front is told", "[ldap]")
{
    LoadedBackend ldap = backend();
    first.kill();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    REQUIRE(ldap.servers.failures.size() == 1);
    CHECK(ldap.servers.failures[0].first == 0);
    CHECK(ldap.servers.failures[0].second == "cannot be reached: Connection refused");
}

TEST_CASE_METHOD(TwoDirectories, "a server that stops in the midst of it leaves time for the next", "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_timeout", "2"}});
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    first.stop();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    REQUIRE(ldap.servers.failures.size() == 1);
    CHECK_THAT(ldap.servers.failures[0].second, Catch::StartsWith("no answer within"));
}

TEST_CASE_METHOD(TwoDirectories, "without a limit of its own a stopped server gets its share of the time",
                 "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_timeout", "0"}});
    ldap.servers.time = 6s;
    first.stop();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.servers.failures.size() == 1);
}

TEST_CASE_METHOD(TwoDirectories, "a server to be left alone is not asked, and asked again when it is not",
                 "[ldap]")
{
    LoadedBackend ldap = backend();
    ldap.servers.to_leave_alone.add(0);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(first.times_logged(" ACCEPT ") == 0);
    ldap.servers.to_leave_alone.remove(0);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(first.times_logged(" ACCEPT ") == 2);
    ldap.servers.to_leave_alone.add(0);
    ldap.servers.to_leave_alone.add(1);
    CHECK(outage_of(ldap, alice) == "every server has failed lately");
}

TEST_CASE_METHOD(TwoDirectories, "what one server refuses no other is asked", "[ldap]")
{
    LoadedBackend ldap = backend();
    CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    CHECK(verdict_of(ldap, {"nobody", "x"}) == Verdict::unknown_user);
    CHECK(second.times_logged(" ACCEPT ") == 0);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE_METHOD(TwoDirectories, "when nobody can be asked the problem of each is told", "[ldap]")
{
    LoadedBackend ldap = backend();
    first.kill();
    second.kill();
    const std::string text = outage_of(ldap, alice);
    CHECK_THAT(text, Catch::Contains(first.uri() + ": cannot be reached") &&
                         Catch::Contains(second.uri() + ": cannot be reached"));
    CHECK(ldap.servers.failures.size() == 2);
}

TEST_CASE_METHOD(DirectoryTest, "a refused service identity is the server's failure, and not the user's",
                 "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_password", "not it"}});
    CHECK_THAT(outage_of(ldap, alice),
               Catch::Contains("the service bind was refused: invalid credentials (49)"));
    CHECK(ldap.servers.failures.size() == 1);
}

TEST_CASE_METHOD(DirectoryTest, "a server that comes back serves without a restart", "[ldap]")
{
    LoadedBackend ldap = backend();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    slapd.kill();
    outage_of(ldap, alice);
    slapd.start();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
}

TEST_CASE_METHOD(DirectoryTest, "a server that was restarted between two logins has not failed", "[ldap]")
{
    LoadedBackend ldap = backend();
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    slapd.kill();
    slapd.start();
    CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE("a connection that the server closed for idleness is opened again", "[ldap]")
{
    SlapdSetup setup = usual_setup();
    setup.global_lines += "idletimeout 1\n";
    const Slapd slapd{setup};
    LoadedBackend ldap{"ldap", service_options(slapd.uri())};
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    slapd.wait_for_log("closed (idletimeout)", 2);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE_METHOD(DirectoryTest, "a probe asks what needs no user, and says when a server cannot", "[ldap]")
{
    for (const std::string method : {"bind", "fastbind"}) {
        LoadedBackend ldap =
            method == "bind" ? backend({{"ldap_timeout", "1"}}) : fastbind({{"ldap_timeout", "1"}});
        ldap.backend().probe();
        slapd.stop();
        CHECK_THROWS_AS(ldap.backend().probe(), BackendError);
        slapd.go_on();
        ldap.backend().probe();
        slapd.kill();
        CHECK_THROWS_AS(ldap.backend().probe(), BackendError);
        slapd.start();
    }
}

TEST_CASE_METHOD(DirectoryTest, "references to other servers are not followed unless that is wanted",
                 "[ldap]")
{
    LoadedBackend ldap = backend();
    CHECK(verdict_of(ldap, {"nobody", "x"}) == Verdict::unknown_user);
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
}

/// A directory that refers to another one for a part of itself.
SlapdSetup referring_to(const std::string& server, SlapdSetup setup = usual_setup())
{
    const std::string dead = "ldap://127.0.0.1:1/dc=elsewhere";
    setup.entries.replace(setup.entries.find(dead), dead.size(), server + "dc=example,dc=org");
    return setup;
}

TEST_CASE_METHOD(DirectoryTest, "whom nobody could be asked about is not unknown, and in no group or another",
                 "[ldap]")
{
    const std::string why = "a server that it refers to could not be asked";
    LoadedBackend ldap = backend({{"ldap_referrals", "yes"}});
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    CHECK_THAT(outage_of(ldap, {"nobody", "x"}), Catch::Contains("the search: " + why));
    LoadedBackend grouping = backend({{"ldap_referrals", "yes"},
                                      {"ldap_group_match_method", "filter"},
                                      {"ldap_group_search_base", "dc=example,dc=org"},
                                      {"ldap_group_filter", "(&(cn=mail)(uniqueMember=%D))"}});
    CHECK(verdict_of(grouping, alice) == Verdict::accepted);
    CHECK_THAT(outage_of(grouping, {"bob", "old"}), Catch::Contains("the group: " + why));
    CHECK(ldap.servers.failures.empty());
    CHECK(grouping.servers.failures.empty());
}

TEST_CASE("a server that one refers to more than once is asked, as nobody, and answers for itself", "[ldap]")
{
    const std::array<std::string, 2> names{"more", "most"};
    SlapdSetup other;
    for (const std::string& name : names)
        other.entries += "dn: ou=" + name + ",dc=example,dc=org\nobjectClass: organizationalUnit\n\n";
    const Slapd second{other};
    SlapdSetup setup = referring_to(second.uri());
    for (const std::string& name : names)
        setup.entries += "dn: ou=" + name + ',' + people +
                         "\nobjectClass: referral\nobjectClass: extensibleObject\nou: " + name +
                         "\nref: " + second.uri() + "ou=" + name + ",dc=example,dc=org\n\n";
    const Slapd first{setup};
    LoadedBackend ldap{"ldap", service_options(first.uri(), {{"ldap_referrals", "yes"}})};
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(verdict_of(ldap, {"nobody", "x"}) == Verdict::unknown_user);
    second.wait_for_log(" SRCH base=\"ou=most,dc=example,dc=org\"", 2);
    CHECK(second.times_logged(" BIND ") == 0);
}

TEST_CASE("a silent server that another refers to takes no more than its time", "[ldap]")
{
    const bool is_encrypted = GENERATE(false, true);
    SlapdSetup other = usual_setup();
    other.has_tls = true;
    const Slapd second{other};
    const Slapd first{referring_to(is_encrypted ? second.ldaps_uri() : second.uri())};
    LoadedBackend ldap{"ldap", service_options(first.uri(), {{"ldap_referrals", "yes"},
                                                             {"ldap_tls_check_peer", "no"},
                                                             {"ldap_timeout", "1s"}})};
    second.stop();
    const auto begin = std::chrono::steady_clock::now();
    outage_of(ldap, {"nobody", "x"});
    CHECK(std::chrono::steady_clock::now() - begin < ldap.servers.time);
}

// ---- TLS

struct TlsTest {
    TlsTest()
        : slapd{[] {
            SlapdSetup setup = usual_setup();
            setup.has_tls = true;
            return setup;
        }()}
    {
    }
    Slapd slapd;
};

TEST_CASE_METHOD(TlsTest, "TLS is begun on a plain connection or at once, with an authority that we know",
                 "[ldap]")
{
    const bool is_ldaps = GENERATE(false, true);
    LoadedBackend ldap{"ldap", service_options(is_ldaps ? slapd.ldaps_uri() : slapd.uri(),
                                               {{"ldap_start_tls", is_ldaps ? "no" : "yes"},
                                                {"ldap_tls_check_peer", GENERATE("yes", "")},
                                                {"ldap_tls_cacert_file", slapd.ca_file()}})};
    for (int i = 0; i < 2; ++i) {
        CHECK(verdict_of(ldap, alice) == Verdict::accepted);
        CHECK(verdict_of(ldap, with_password(alice, "not-it")) == Verdict::rejected);
    }
    CHECK(slapd.times_logged("TLS established") == 2);
    CHECK(slapd.times_logged(" ACCEPT ") == 2);
}

TEST_CASE_METHOD(TlsTest, "a certificate of nobody we know ends it, unless none is asked for", "[ldap]")
{
    const bool is_ldaps = GENERATE(false, true);
    const auto made = [&](const std::string& checks) {
        return LoadedBackend{"ldap", service_options(is_ldaps ? slapd.ldaps_uri() : slapd.uri(),
                                                     {{"ldap_start_tls", is_ldaps ? "no" : "yes"},
                                                      {"ldap_tls_check_peer", checks}})};
    };
    for (const std::string checks : {"yes", ""}) {
        LoadedBackend ldap = made(checks);
        CHECK_THAT(outage_of(ldap, alice), Catch::Contains("TLS failed"));
        CHECK(ldap.servers.failures.size() == 1);
    }
    CHECK(slapd.times_logged(" BIND ") == 0);
    LoadedBackend trusting = made("no");
    CHECK(verdict_of(trusting, alice) == Verdict::accepted);
}

TEST_CASE_METHOD(TlsTest, "a certificate for another host ends it", "[ldap]")
{
    std::string uri = slapd.ldaps_uri();
    uri.replace(uri.find("127.0.0.1"), 9, "localhost");
    LoadedBackend ldap{"ldap", service_options(uri, {{"ldap_tls_cacert_file", slapd.ca_file()}})};
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("TLS failed"));
    CHECK(slapd.times_logged(" BIND ") == 0);
}

TEST_CASE_METHOD(DirectoryTest, "where TLS is wanted and not to be had no password is sent", "[ldap]")
{
    LoadedBackend ldap =
        GENERATE(false, true) ? backend({{"ldap_start_tls", "yes"}}) : fastbind({{"ldap_start_tls", "yes"}});
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("TLS is not to be had"));
    CHECK(slapd.times_logged(" BIND ") == 0);
}

TEST_CASE_METHOD(TlsTest, "a failed open is no connection", "[ldap]")
{
    const BackendOptions tls{{"ldap_start_tls", "yes"}, {"ldap_tls_cacert_file", "/nowhere/ca.pem"}};
    LoadedBackend ldap{"ldap", GENERATE(false, true) ? service_options(slapd.uri(), tls)
                                                     : fastbind_options(slapd.uri(), tls)};
    for (int i = 0; i < 3; ++i)
        CHECK_THAT(outage_of(ldap, alice), Catch::StartsWith("TLS cannot be prepared"));
    CHECK(slapd.times_logged(" BIND ") == 0);
    CHECK(slapd.times_logged(" SRCH ") == 0);
}

TEST_CASE_METHOD(TlsTest, "where TLS is wanted no server without it is believed, whoever names it", "[ldap]")
{
    SlapdSetup setup = usual_setup();
    setup.has_tls = true;
    const Slapd plain{setup};
    const bool is_encrypted = GENERATE(false, true);
    SlapdSetup referring = setup;
    referring.entries = "dn: " + people +
                        "\nobjectClass: referral\nobjectClass: extensibleObject\nou: people\nref: " +
                        (is_encrypted ? plain.ldaps_uri() : plain.uri()) + people + "\n\n" +
                        "dn: cn=service,dc=example,dc=org\nobjectClass: person\nsn: service\nuserPassword: "
                        "service pass\n\n";
    const Slapd first{referring};
    LoadedBackend ldap{"ldap", service_options(first.uri(), {{"ldap_start_tls", "yes"},
                                                             {"ldap_tls_check_peer", "no"},
                                                             {"ldap_referrals", "yes"}})};
    if (is_encrypted) // and then the first server has no such user
        CHECK(verdict_of(ldap, alice) == Verdict::rejected);
    else
        CHECK(outage_of(ldap, alice) == "the search: referral (10)");
    CHECK(plain.times_logged(" SRCH base=\"ou=people") == (is_encrypted ? 1 : 0));
}

TEST_CASE_METHOD(TlsTest, "a reference to a server without TLS costs only those who may be there", "[ldap]")
{
    SlapdSetup setup = referring_to(slapd.uri());
    setup.has_tls = true;
    const Slapd first{setup};
    LoadedBackend ldap{"ldap", service_options(first.uri(), {{"ldap_start_tls", "yes"},
                                                             {"ldap_tls_check_peer", "no"},
                                                             {"ldap_referrals", "yes"}})};
    for (int i = 0; i < 2; ++i) {
        CHECK(verdict_of(ldap, alice) == Verdict::accepted);
        CHECK_THAT(outage_of(ldap, {"nobody", "x"}), Catch::Contains("refers to could not be asked"));
    }
    CHECK(slapd.times_logged(" SRCH ") == 0);
    CHECK(ldap.servers.failures.empty());
}

TEST_CASE("a server that is silent in the midst of a handshake takes no more than its time", "[ldap]")
{
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("socket"), {std::nullopt}};
    LoadedBackend ldap{"ldap", service_options(ldapi_uri_of(directory.file("socket")),
                                               {{"ldap_timeout", "500ms"}, {"ldap_start_tls", "yes"}})};
    outage_of(ldap, alice);
    const Slapd slapd{[] {
        SlapdSetup setup = usual_setup();
        setup.has_tls = true;
        return setup;
    }()};
    LoadedBackend encrypted{"ldap", service_options(slapd.ldaps_uri(), {{"ldap_timeout", "500ms"}})};
    slapd.stop();
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THAT(outage_of(encrypted, alice), Catch::Contains("TLS failed"));
    CHECK(std::chrono::steady_clock::now() - begin < encrypted.servers.time);
}

/// Agrees to TLS, and then sends a handshake one byte at a time.
class TricklingServer {
public:
    explicit TricklingServer(const std::string& path) : socket_{listen_at(path)}, pid_{::fork()}
    {
        if (check(pid_, "fork") == 0)
            serve();
    }
    TricklingServer(const TricklingServer&) = delete;
    TricklingServer& operator=(const TricklingServer&) = delete;
    ~TricklingServer()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    [[noreturn]] void serve() const
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const UniqueFd connection{::accept(socket_.get(), nullptr, nullptr)};
        std::array<char, 4096> question{};
        static_cast<void>(::recv(connection.get(), question.data(), question.size(), 0));
        const std::string agreed = ldap_wire::result(1, 0x78, success);
        static_cast<void>(::send(connection.get(), agreed.data(), agreed.size(), MSG_NOSIGNAL));
        static_cast<void>(::recv(connection.get(), question.data(), question.size(), 0));
        const std::string header{"\x16\x03\x03\x40\x00", 5}; // a record of 16384 bytes
        static_cast<void>(::send(connection.get(), header.data(), header.size(), MSG_NOSIGNAL));
        while (::send(connection.get(), "\x02", 1, MSG_NOSIGNAL) == 1)
            std::this_thread::sleep_for(5ms);
        ::_exit(0);
    }

    UniqueFd socket_;
    pid_t pid_;
};

TEST_CASE("a server that sends a handshake byte by byte takes no more than its time", "[ldap]")
{
    const TemporaryDirectory directory;
    const TricklingServer server{directory.file("socket")};
    LoadedBackend ldap{"ldap", service_options(ldapi_uri_of(directory.file("socket")),
                                               {{"ldap_timeout", "500ms"}, {"ldap_start_tls", "yes"}})};
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THAT(outage_of(ldap, alice), Catch::Contains("TLS failed"));
    CHECK(std::chrono::steady_clock::now() - begin < ldap.servers.time);
}

// ---- options

TEST_CASE("options that do not fit together are told before anybody is asked", "[ldap]")
{
    const BackendOptions wrong = GENERATE(
        BackendOptions{{"ldap_servers", "localhost"}}, BackendOptions{{"ldap_servers", "http://localhost/"}},
        BackendOptions{{"ldap_servers", ""}}, BackendOptions{{"ldap_group_filter", "(cn=x)"}},
        BackendOptions{{"ldap_auth_method", "fastbind"}}, // whose DN would be a filter
        BackendOptions{{"ldap_group_dn", "cn=x"}, {"ldap_group_match_method", "filter"}});
    CHECK_THROWS_AS((LoadedBackend{"ldap", options(wrong)}), BackendError);
}

TEST_CASE_METHOD(DirectoryTest, "a name without a password is nobody's, and that is said", "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_password", ""}});
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.log_lines().size() == 1);
    CHECK(slapd.times_logged("BIND dn=\"cn=service") == 0);
}

TEST_CASE_METHOD(DirectoryTest, "what libldap says of itself is in the log, and no password with it",
                 "[ldap]")
{
    LoadedBackend ldap = backend({{"ldap_debug", "65535"}});
    CHECK(verdict_of(ldap, alice) == Verdict::accepted);
    CHECK(ldap.log_lines().size() > 5);
    for (const std::string& line : ldap.log_lines()) {
        CHECK(line.find("s3cret") == std::string::npos);
        CHECK(line.find("73 33 63 72") == std::string::npos);
        CHECK(line.find('\n') == std::string::npos);
    }
}

TEST_CASE_METHOD(DirectoryTest, "a line is given to the log as it is: what is cut is not found in it",
                 "[ldap]")
{
    LoadedBackend ldap = backend();
    const std::string name(1024, 'u');
    CHECK(verdict_of(ldap, {name + "nobody", "x"}) == Verdict::unknown_user);
    REQUIRE(ldap.log_lines().size() == 1);
    CHECK_THAT(ldap.log_lines()[0], Catch::EndsWith("(uid=" + name + "nobody))."));
}

} // namespace postern
