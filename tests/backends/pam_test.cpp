// SPDX-License-Identifier: BSD-2-Clause
//
// The real libpam with stacks of our own: this program has a pam_start(), which the plug-in finds before
// libpam's, and which looks for stacks in a directory of the test.
#include "tests/support/backend_contract.hpp"
#include "tests/support/temporary_directory.hpp"

#include <dlfcn.h>
#include <security/pam_appl.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

namespace {

const char* stacks = "/nonexistent";
int open_transactions = 0;

} // namespace

extern "C" int pam_start(const char* service, const char* user, const pam_conv* conversation,
                         pam_handle_t** handle)
{
    const int answer = pam_start_confdir(service, user, conversation, stacks, handle);
    open_transactions += answer == PAM_SUCCESS ? 1 : 0;
    return answer;
}

extern "C" int pam_end(pam_handle_t* handle, int status)
{
    --open_transactions;
    static const auto libpams = reinterpret_cast<decltype(&pam_end)>(::dlsym(RTLD_NEXT, "pam_end"));
    return libpams(handle, status);
}

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A directory with a stack `other`, made of the module tests/support/pam_orders.cpp.
class PamSource final : public ContractSource {
public:
    PamSource()
    {
        std::ofstream accounts{accounts_file()};
        for (const Login& login : {known(), eight_bit(), maximal()})
            accounts << login.user << ':' << login.password << '\n';
        write_stack("other", "auth [success=ok default=die] " PAM_ORDERS " " + accounts_file() +
                                 "\naccount [success=ok default=die] " PAM_ORDERS "\n");
        stacks = directory_.path().c_str();
    }
    ~PamSource() override { stacks = "/nonexistent"; }

    void write_stack(const std::string& service, const std::string& lines) const
    {
        std::ofstream{stack(service)} << lines;
    }

    [[nodiscard]] std::string stack(const std::string& service) const { return directory_.file(service); }

    [[nodiscard]] std::string type() const override { return "pam"; }

    [[nodiscard]] BackendOptions options() const override { return {{"pam_keep_loaded", "yes"}}; }

    [[nodiscard]] Login known() const override { return {"alice", "s3cret pass"}; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass"}; }

    [[nodiscard]] Login eight_bit() const override { return {"al\xefs\xff", "\xc3\xa9\x80\xff\x01"}; }

    [[nodiscard]] Login maximal() const override
    {
        return {std::string(field_bytes_max, 'u'), std::string(field_bytes_max, 'p'),
                std::string(field_bytes_max, 'r'), std::string(200, 's')};
    }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::remove(accounts_file());
        return known();
    }

private:
    [[nodiscard]] std::string accounts_file() const { return directory_.file("accounts"); }

    TemporaryDirectory directory_;
};

/// What an order of the module comes to; what is thrown is Verdict::unavailable, as in a worker.
Decision decision_of(LoadedBackend& backend, const Login& login)
try {
    return backend.check(login);

} catch (const BackendError& error) {
    return {Verdict::unavailable, error.what()};
}

} // namespace

TEST_CASE("pam keeps the backend contract", "[pam]")
{
    PamSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("every answer of pam_authenticate has its verdict", "[pam]")
{
    static const std::map<int, Verdict> expected{
        {PAM_AUTH_ERR, Verdict::rejected},      {PAM_USER_UNKNOWN, Verdict::unknown_user},
        {PAM_PERM_DENIED, Verdict::barred},     {PAM_MAXTRIES, Verdict::barred},
        {PAM_ACCT_EXPIRED, Verdict::barred},    {PAM_NEW_AUTHTOK_REQD, Verdict::barred},
        {PAM_AUTHTOK_EXPIRED, Verdict::barred}, {PAM_CRED_EXPIRED, Verdict::barred},
        {PAM_CRED_ERR, Verdict::rejected}, // pam_sss
        {PAM_IGNORE, Verdict::barred},     // libpam makes PERM_DENIED of a stack without an opinion
    };
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    for (int answer = 1; answer < _PAM_RETURN_VALUES; ++answer) {
        CAPTURE(answer);
        const auto known = expected.find(answer);
        const Decision decision = decision_of(backend, {"auth-" + std::to_string(answer), "x"});
        CHECK(decision.verdict == (known == expected.end() ? Verdict::unavailable : known->second));
        CHECK_FALSE(decision.password_was_right);
        if (decision.verdict == Verdict::unavailable)
            CHECK_THAT(decision.reason, Catch::StartsWith("PAM auth error: "));
        else
            CHECK(decision.reason == "PAM auth error");
    }
}

TEST_CASE("every answer of pam_acct_mgmt bars the account or is an outage", "[pam]")
{
    static const std::set<int> barring{PAM_IGNORE,          PAM_NEW_AUTHTOK_REQD, PAM_ACCT_EXPIRED,
                                       PAM_AUTHTOK_EXPIRED, PAM_CRED_EXPIRED,     PAM_PERM_DENIED,
                                       PAM_AUTH_ERR,        PAM_USER_UNKNOWN,     PAM_MAXTRIES};
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    CHECK(decision_of(backend, {"account-0", "x"}).verdict == Verdict::accepted);
    for (int answer = 1; answer < _PAM_RETURN_VALUES; ++answer) {
        CAPTURE(answer);
        const bool bars = barring.contains(answer);
        const Decision decision = decision_of(backend, {"account-" + std::to_string(answer), "x"});
        CHECK(decision.verdict == (bars ? Verdict::barred : Verdict::unavailable));
        CHECK(decision.password_was_right == bars);
        if (bars)
            CHECK(decision.reason == "PAM acct error");
        else
            CHECK_THAT(decision.reason, Catch::StartsWith("PAM acct error: "));
    }
}

TEST_CASE("an answer that libpam does not know lets nobody in", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    for (const char* user : {"auth-99", "account-99", "auth-32", "account-32"}) {
        const Verdict verdict = decision_of(backend, {user, "x"}).verdict;
        CHECK((verdict == Verdict::barred || verdict == Verdict::unavailable));
    }
}

TEST_CASE("the detail of a refusal is a debug line in saslauthd's words", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    static_cast<void>(backend.check(with_password(source.known(), "wrong")));
    static_cast<void>(backend.check({"account-13", "x"}));
    CHECK(backend.log_lines() ==
          std::vector<std::string>{"7 DEBUG: auth_pam: pam_authenticate failed: Authentication failure",
                                   "7 DEBUG: auth_pam: pam_acct_mgmt failed: User account has expired"});
}

TEST_CASE("an outage names its cause", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    CHECK(outage_of(backend, source.break_down()) ==
          "PAM auth error: Authentication service cannot retrieve authentication info");
    source.write_stack("other", "auth required /nonexistent/module.so\n");
    CHECK(outage_of(backend, source.known()) == "PAM auth error: Module is unknown");
}

TEST_CASE("a service without a stack, and no service, have the stack `other`", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    source.write_stack("closed", "auth required pam_deny.so\n");
    for (const char* service : {"", "other", "smtp", "OTHER", " ", "a.b", "a-b_c@d"})
        CHECK(decision_of(backend, {"alice", "s3cret pass", "", service}).verdict == Verdict::accepted);
    for (const char* service : {"closed", "CLOSED"})
        CHECK(decision_of(backend, {"alice", "s3cret pass", "", service}).verdict == Verdict::rejected);
}

TEST_CASE("a service that is no name of a file is refused before libpam sees it", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    for (const char* service : {"/etc/pam.d/other", "../pam.d/other", "a/b", "/", ".", "..", ".hidden",
                                "a..b", "a\nb", "\x1b[2J", "\x7f", "caf\xc3\xa9"}) {
        CAPTURE(service);
        const Decision decision = backend.check({"alice", "s3cret pass", "", service});
        CHECK(decision.verdict == Verdict::rejected);
        CHECK(decision.reason == "PAM start error");
    }
}

TEST_CASE("modules are answered as saslauthd answers them", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    const auto verdict = [&backend](const std::string& user) {
        return decision_of(backend, {user, "x"}).verdict;
    };
    CHECK(verdict("name") == Verdict::accepted);  // the user's name, where exactly that is wanted
    CHECK(verdict("other") == Verdict::accepted); // an empty answer to any other open question
    CHECK(verdict("ask-" + std::to_string(PAM_PROMPT_ECHO_OFF)) == Verdict::accepted);
    CHECK(verdict("ask-" + std::to_string(PAM_ERROR_MSG)) == Verdict::rejected); // taken, and not answered
    CHECK(verdict("ask-" + std::to_string(PAM_TEXT_INFO)) == Verdict::rejected);
    CHECK(verdict("ask-0") == Verdict::unavailable); // no style that there is
    CHECK(verdict("ask-7") == Verdict::unavailable);
    CHECK(verdict("rename") == Verdict::accepted);
}

TEST_CASE("modules are told the client's address without its port", "[pam]")
{
    PamSource source;
    RecordingLog log;
    RecordingServers servers;
    SecretArena secrets{64, 4};
    const BackendOptions options = source.options();
    const auto backend = plugin_of("pam").make_backend({options, secrets, log, servers});
    const auto [client, host] = GENERATE(table<std::string, std::string>(
        {{"192.0.2.7;40000", "192.0.2.7"}, {"192.0.2.7", "192.0.2.7"}, {"2001:db8::1;25", "2001:db8::1"}}));
    const Request request{"from", Secret{secrets, host}, "smtp", "", client};
    CHECK(backend->check(request).verdict == Verdict::accepted);
    const Request elsewhere{"from", Secret{secrets, "192.0.2.8"}, "smtp", "", client};
    CHECK(backend->check(elsewhere).verdict == Verdict::rejected);
}

TEST_CASE("a failure delay is handed on and not slept", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    const auto began = std::chrono::steady_clock::now();
    const auto delay = backend.check({"delay-40000000", "x"}).failure_delay;
    CHECK(std::chrono::steady_clock::now() - began < 10s);
    CHECK(delay >= 20s); // libpam varies it by half
    CHECK(delay <= 60s);
    CHECK(backend.check(source.known()).failure_delay == 0ms);
}

TEST_CASE("a login that is accepted has no failure delay, whatever modules have asked for", "[pam]")
{
    PamSource source;
    LoadedBackend backend{"pam", source.options()};
    const Decision decision = backend.check({"late-40000000", "x"});
    CHECK(decision.verdict == Verdict::accepted);
    CHECK(decision.failure_delay == 0ms);
}

TEST_CASE("a stack that works is kept in memory by a transaction that never ends", "[pam]")
{
    const Login login{"alice", "s3cret pass", "",
                      "login"}; // has a stack on any host, and no other test takes it
    PamSource source;
    const int before = open_transactions;
    {
        LoadedBackend backend{"pam", source.options()};
        source.write_stack("login", "auth required /nonexistent/module.so\n");
        CHECK(decision_of(backend, login).verdict == Verdict::unavailable);
        CHECK(open_transactions == before); // to ask for it again would log the same errors again
        std::filesystem::remove(source.stack("login"));
        CHECK(backend.check(login).verdict == Verdict::accepted);
        CHECK(backend.check(login).verdict == Verdict::accepted);
        CHECK(open_transactions == before + 1);
    }
    CHECK(open_transactions == before + 1);
}

TEST_CASE("pam wants to know whether to keep libraries", "[pam]")
{
    CHECK_THROWS_AS((LoadedBackend{"pam", {{"pam_keep_loaded", "maybe"}}}), BackendError);
    CHECK_THROWS_AS((LoadedBackend{"pam", {}}), BackendError);
}

} // namespace postern
