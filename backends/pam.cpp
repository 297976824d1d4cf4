// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type pam: whatever the host's PAM stacks ask. The service of the request names the stack;
// authentication and account management are run, credentials and sessions are not: nobody logs in here.
//
// An answer of libpam is a number, and the table below says what each of them means. Two things are not in
// it: a stack that hides an outage behind pam_deny answers AUTH_ERR, and a wrong password is what we then
// report; and the delay that modules ask for after a failure is not slept here, but handed to the front.
//
// dlopen costs more than a cheap stack. An idle transaction keeps the libraries of its stack in memory, one
// for each service that has a file of its own, made when the first request for it has been answered. A
// request has its own transaction all the same, which reads the stack anew. A library that is replaced on
// disk makes this worker outdated.
//
// libpam and its modules keep copies of the password in memory of their own, and only some of them wipe it.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/debug_lines.hpp"
#include "backends/mapped_libraries.hpp"
#include "base/lower_case.hpp"

#include <security/pam_appl.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::array stack_directories{"/etc/pam.d", "/usr/lib/pam.d"}; // libpam's, in its order
constexpr const char* fallback_service = "other"; ///< libpam's, for a service without a stack of its own
constexpr std::size_t idle_transactions_max = 8;

// ---- what the answers of libpam mean

/// An answer, and the verdict when pam_authenticate() or pam_acct_mgmt() gives it; an accepted user goes from
/// the first to the second. When an account is barred there, the password has been found right.
struct Meaning {
    int answer;
    Verdict authenticate;
    Verdict account;
};

constexpr std::array meanings{
    Meaning{PAM_SUCCESS, Verdict::accepted, Verdict::accepted},
    Meaning{PAM_OPEN_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_SYMBOL_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_SERVICE_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_SYSTEM_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_BUF_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_PERM_DENIED, Verdict::barred, Verdict::barred},
    Meaning{PAM_AUTH_ERR, Verdict::rejected, Verdict::barred}, // pam_deny says it in either place
    Meaning{PAM_CRED_INSUFFICIENT, Verdict::unavailable,
            Verdict::unavailable}, // we may not read the passwords
    Meaning{PAM_AUTHINFO_UNAVAIL, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_USER_UNKNOWN, Verdict::unknown_user,
            Verdict::barred},                                        // to the account's source, and no other
    Meaning{PAM_MAXTRIES, Verdict::barred, Verdict::barred},         // locked for a while
    Meaning{PAM_NEW_AUTHTOK_REQD, Verdict::barred, Verdict::barred}, // and cannot be changed here
    Meaning{PAM_ACCT_EXPIRED, Verdict::barred, Verdict::barred},
    Meaning{PAM_SESSION_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_CRED_UNAVAIL, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_CRED_EXPIRED, Verdict::barred, Verdict::barred},
    Meaning{PAM_CRED_ERR, Verdict::rejected, Verdict::unavailable}, // pam_sss says it of a wrong password
    Meaning{PAM_NO_MODULE_DATA, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_CONV_ERR, Verdict::unavailable,
            Verdict::unavailable}, // a module asked what nobody can answer
    Meaning{PAM_AUTHTOK_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_AUTHTOK_RECOVERY_ERR, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_AUTHTOK_LOCK_BUSY, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_AUTHTOK_DISABLE_AGING, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_TRY_AGAIN, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_IGNORE, Verdict::unavailable, Verdict::unavailable}, // no module had an opinion
    Meaning{PAM_ABORT, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_AUTHTOK_EXPIRED, Verdict::barred, Verdict::barred},
    Meaning{PAM_MODULE_UNKNOWN, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_BAD_ITEM, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_CONV_AGAIN, Verdict::unavailable, Verdict::unavailable},
    Meaning{PAM_INCOMPLETE, Verdict::unavailable, Verdict::unavailable},
};

constexpr bool has_every_answer_in_its_place()
{
    for (std::size_t i = 0; i < meanings.size(); ++i)
        if (meanings[i].answer != static_cast<int>(i))
            return false;
    return meanings.size() == _PAM_RETURN_VALUES;
}

static_assert(has_every_answer_in_its_place());

constexpr Meaning meaning_of(int answer)
{
    if (answer < 0 || answer >= static_cast<int>(meanings.size()))
        return {answer, Verdict::unavailable, Verdict::unavailable};
    return meanings[static_cast<std::size_t>(answer)];
}

/// A process in which a module has broken something keeps saying so, where a new one might not.
constexpr bool is_broken_process(int answer)
{
    switch (answer) {
    case PAM_OPEN_ERR:
    case PAM_SYMBOL_ERR:
    case PAM_SERVICE_ERR:
    case PAM_SYSTEM_ERR:
    case PAM_BUF_ERR:
    case PAM_ABORT:
    case PAM_MODULE_UNKNOWN: return true;
    default: return false;
    }
}

// ---- one transaction

/// libpam cuts a path off a service and looks for the file; what could ever be one is not passed on. No
/// service at all is the fallback, as ever.
bool is_service_name(std::string_view service)
{
    const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
    return std::ranges::all_of(service, is_printable) && !service.starts_with('.') &&
           service.find('/') == std::string_view::npos && service.find("..") == std::string_view::npos;
}

/// The answers for a module's questions, from malloc() as libpam wants them: whoever asked frees them.
class Answers {
public:
    explicit Answers(int count)
        : answers_{static_cast<pam_response*>(
              std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)))}
        , count_{count}
    {
    }
    Answers(const Answers&) = delete;
    Answers& operator=(const Answers&) = delete;
    ~Answers()
    {
        for (int i = 0; answers_ != nullptr && i < count_; ++i)
            if (char* const text = answers_[i].resp; text != nullptr) {
                ::explicit_bzero(text, ::strlen(text));
                std::free(text);
            }
        std::free(answers_);
    }

    [[nodiscard]] bool has_memory() const noexcept { return answers_ != nullptr; }

    /// False when there is no memory.
    [[nodiscard]] bool give(int question, std::string_view text) noexcept
    {
        answers_[question].resp = ::strndup(text.data(), text.size());
        return answers_[question].resp != nullptr;
    }

    pam_response* release() noexcept { return std::exchange(answers_, nullptr); }

private:
    pam_response* answers_;
    int count_;
};

/// One question of libpam's about one user, from pam_start() to pam_end(). Does not move: libpam has its
/// address.
class Transaction {
public:
    explicit Transaction(const Request& request) : request_{&request}
    {
        last_answer_ = ::pam_start(request.service.c_str(), request.user.c_str(), &conversation_, &handle_);
        if (last_answer_ == PAM_SUCCESS)
            set(PAM_FAIL_DELAY, reinterpret_cast<const void*>(record_delay));
        if (last_answer_ == PAM_SUCCESS && !request.client_address.empty())
            set(PAM_RHOST, std::string{client_host(request)}.c_str());
    }

    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    ~Transaction()
    {
        if (handle_ != nullptr)
            ::pam_end(handle_, last_answer_);
    }

    int authenticate() { return last_answer_ = ::pam_authenticate(handle_, PAM_SILENT); }

    int manage_account() { return last_answer_ = ::pam_acct_mgmt(handle_, PAM_SILENT); }

    [[nodiscard]] int last_answer() const noexcept { return last_answer_; }

    [[nodiscard]] std::string last_answer_text() const
    {
        const char* const text = ::pam_strerror(handle_, last_answer_);
        return text == nullptr ? "" : text;
    }

    /// What the modules asked for, after a failure, already varied by libpam.
    [[nodiscard]] std::chrono::milliseconds failure_delay() const noexcept { return failure_delay_; }

private:
    void set(int item, const void* value) { last_answer_ = ::pam_set_item(handle_, item, value); }

    static int converse(int count, const pam_message** questions, pam_response** answers,
                        void* self) noexcept;
    static void record_delay(int answer, unsigned microseconds, void* self) noexcept;
    [[nodiscard]] bool answer(Answers& answers, int number, const pam_message& question) const noexcept;
    [[nodiscard]] bool asks_for_user(std::string_view prompt) const noexcept;

    const Request* request_;
    pam_conv conversation_{converse, this};
    pam_handle_t* handle_ = nullptr;
    int last_answer_ = PAM_SYSTEM_ERR;
    std::chrono::milliseconds failure_delay_{};
};

int Transaction::converse(int count, const pam_message** questions, pam_response** answers,
                          void* self) noexcept
{
    const auto& transaction = *static_cast<const Transaction*>(self);
    if (count <= 0 || count > PAM_MAX_NUM_MSG || questions == nullptr || answers == nullptr)
        return PAM_CONV_ERR;
    Answers given{count};
    if (!given.has_memory())
        return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i)
        if (questions[i] == nullptr || !transaction.answer(given, i, *questions[i]))
            return PAM_CONV_ERR;
    *answers = given.release();
    return PAM_SUCCESS;
}

/// There is nobody to ask: a password, and the user's name where exactly that is wanted, is all there is to
/// say.
bool Transaction::answer(Answers& answers, int number, const pam_message& question) const noexcept
{
    switch (question.msg_style) {
    case PAM_PROMPT_ECHO_OFF: return answers.give(number, request_->password.view());
    case PAM_PROMPT_ECHO_ON:
        return answers.give(number, asks_for_user(question.msg == nullptr ? "" : question.msg)
                                        ? std::string_view{request_->user}
                                        : std::string_view{""});
    case PAM_ERROR_MSG:
    case PAM_TEXT_INFO: return true;
    default: return false;
    }
}

bool Transaction::asks_for_user(std::string_view prompt) const noexcept
{
    const void* wanted = nullptr;
    return ::pam_get_item(handle_, PAM_USER_PROMPT, &wanted) == PAM_SUCCESS && wanted != nullptr &&
           prompt == static_cast<const char*>(wanted);
}

/// In the place of libpam's own sleep. Called after a success too, with what modules have asked for in case
/// of a failure.
void Transaction::record_delay(int answer, unsigned microseconds, void* self) noexcept
{
    if (answer != PAM_SUCCESS)
        static_cast<Transaction*>(self)->failure_delay_ =
            std::chrono::ceil<std::chrono::milliseconds>(std::chrono::microseconds{microseconds});
}

// ---- the libraries of stacks, kept in memory

bool has_stack(const std::string& service)
{
    const auto is_in = [&service](const char* directory) {
        struct stat status {};

        const std::string path = std::string{directory} + '/' + service;
        return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    };
    return !service.empty() && std::ranges::any_of(stack_directories, is_in);
}

/// The stack that libpam takes for a service: it looks in lower case.
std::string stack_of(std::string_view service)
{
    const std::string stack = in_lower_case(service);
    return has_stack(stack) ? stack : fallback_service;
}

/// No module is asked in an idle transaction, and none asks.
int refuse_to_converse(int, const pam_message**, pam_response**, void*) noexcept
{
    return PAM_CONV_ERR;
}

/// Makes an idle transaction. A stranger chooses the service, so there is one for each stack and no more than
/// a few.
///
/// They end with the process, and never by pam_end(), which would report the end of a transaction without a
/// user to the audit system, as an error.
void keep_loaded(const std::string& service)
{
    static auto& handles = *new std::map<std::string, pam_handle_t*>;
    const std::string stack = stack_of(service);
    if (handles.size() >= idle_transactions_max || handles.contains(stack))
        return;
    const pam_conv conversation{refuse_to_converse, nullptr};
    ::pam_start(stack.c_str(), nullptr, &conversation, &handles[stack]);
}

// ---- the backend

class Pam final : public Backend {
public:
    explicit Pam(const BackendContext& context)
        : debug_lines_{context.log, "auth_pam"}
        , keeps_loaded_{context.options.find("pam_keep_loaded")->second == "yes"}
    {
    }

    [[nodiscard]] Decision check(const Request& request) override;
    [[nodiscard]] bool is_outdated() override;

private:
    [[nodiscard]] Decision ask(Transaction& transaction);
    [[nodiscard]] Decision decide(Verdict verdict, const Transaction& transaction, const char* call,
                                  const char* reason) const;
    void note_health(const Decision& decision, int answer) noexcept;

    const DebugLines debug_lines_;
    const bool keeps_loaded_;
    SystemClock clock_;
    MappedLibraries libraries_{clock_, {stack_directories.begin(), stack_directories.end()}};
    const TimePoint started_ = clock_.now();
    bool has_worked_ = false;
    bool is_broken_ = false;
};

Decision Pam::check(const Request& request)
{
    if (!is_service_name(request.service))
        return {Verdict::rejected, "PAM start error"};
    if (request.user.empty() || request.password.empty())
        return {Verdict::rejected, "PAM auth error"}; // some stacks let it in
    Transaction transaction{request};
    Decision decision = ask(transaction);
    decision.failure_delay = transaction.failure_delay();
    note_health(decision, transaction.last_answer());
    if (keeps_loaded_ && decision.verdict != Verdict::unavailable) // what is wrong with a stack is said once
        keep_loaded(request.service);
    libraries_.note();
    if (decision.verdict == Verdict::unavailable)
        throw BackendError{decision.reason};
    return decision;
}

Decision Pam::ask(Transaction& transaction)
{
    if (transaction.last_answer() != PAM_SUCCESS)
        return decide(Verdict::unavailable, transaction, "pam_start", "PAM start error");
    if (const Verdict verdict = meaning_of(transaction.authenticate()).authenticate;
        verdict != Verdict::accepted)
        return decide(verdict, transaction, "pam_authenticate", "PAM auth error");
    const Verdict verdict = meaning_of(transaction.manage_account()).account;
    if (verdict != Verdict::accepted) {
        Decision decision = decide(verdict, transaction, "pam_acct_mgmt", "PAM acct error");
        decision.password_was_right = verdict == Verdict::barred;
        return decision;
    }
    return {Verdict::accepted, ""};
}

/// The reason of a refusal is the incumbent's to the letter, since expressions match the whole line; it
/// leaves the detail to a debug line. An outage has a line of its own, with the detail in it.
Decision Pam::decide(Verdict verdict, const Transaction& transaction, const char* call,
                     const char* reason) const
{
    const std::string detail = transaction.last_answer_text();
    debug_lines_.write(std::string{call} + " failed: " + detail);
    if (verdict == Verdict::unavailable)
        return {verdict, std::string{reason} + ": " + detail};
    return {verdict, reason};
}

/// A module that works once and fails from then on needs a new process. One that never worked needs something
/// else, and a directory that is down has its own answer: neither is a reason to start processes.
void Pam::note_health(const Decision& decision, int answer) noexcept
{
    if (decision.verdict != Verdict::unavailable)
        has_worked_ = true;
    else if (has_worked_ && is_broken_process(answer))
        is_broken_ = true;
}

bool Pam::is_outdated()
{
    constexpr auto age_min = 1s; // processes that give up sooner than that make the pool pause
    const bool is_old_enough = clock_.now() - started_ > age_min;
    libraries_.note();
    return (is_broken_ && is_old_enough) || libraries_.have_changed();
}

std::unique_ptr<Backend> make_pam(const BackendContext& context)
{
    const auto keep_loaded = context.options.find("pam_keep_loaded");
    if (keep_loaded == context.options.end() || (keep_loaded->second != "yes" && keep_loaded->second != "no"))
        throw BackendError{"pam_keep_loaded: yes or no was expected"};
    return std::make_unique<Pam>(context);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "pam", make_pam};
}

} // namespace postern
