// SPDX-License-Identifier: BSD-2-Clause
//
// A PAM module for tests. Its argument is a file with a line `user:password` for each account; without that
// file there is an outage. Some users are orders:
//
//     auth-N     authentication answers N, and nobody is asked for a password
//     account-N  any password is right, and account management answers N
//     delay-N    a wrong password, and a failure delay of N microseconds
//     late-N     any password is right, after a failure delay of N microseconds was asked for
//     ask-N      asks in message style N, and lets in if there was an answer
//     name       asks for the user's name as PAM_USER_PROMPT says, and lets in who answers with it
//     other      asks an open question in clear, and lets in if the answer was empty
//     from       lets in if PAM_RHOST is the password
//     rename     lets in, and changes PAM_USER
#include <security/pam_ext.h>
#include <security/pam_modules.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace {

std::string item(pam_handle_t* handle, int number)
{
    const void* value = nullptr;
    return pam_get_item(handle, number, &value) == PAM_SUCCESS && value != nullptr
               ? static_cast<const char*>(value)
               : "";
}

struct Reply {
    int status = PAM_CONV_ERR;
    bool has_text = false;
    std::string text;
};

Reply ask(pam_handle_t* handle, int style, const char* prompt)
{
    const void* found = nullptr;
    if (pam_get_item(handle, PAM_CONV, &found) != PAM_SUCCESS)
        return {};
    const auto* conversation = static_cast<const pam_conv*>(found);
    const pam_message question{style, prompt};
    const pam_message* questions = &question;
    pam_response* answers = nullptr;
    Reply reply;
    reply.status = conversation->conv(1, &questions, &answers, conversation->appdata_ptr);
    if (reply.status == PAM_SUCCESS && answers != nullptr && answers->resp != nullptr) {
        reply.has_text = true;
        reply.text = answers->resp;
        std::free(answers->resp);
    }
    std::free(answers);
    return reply;
}

/// The number behind `name-`; -1 for another user.
int order(std::string_view user, std::string_view name)
{
    return user.starts_with(name) ? std::atoi(user.data() + name.size()) : -1;
}

int success_if(bool is_right)
{
    return is_right ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int look_up(const char* path, const std::string& user, const std::string& password)
{
    std::ifstream accounts{path};
    if (!accounts)
        return PAM_AUTHINFO_UNAVAIL;
    for (std::string line; std::getline(accounts, line);)
        if (line.starts_with(user + ':'))
            return success_if(line == user + ':' + password);
    return PAM_USER_UNKNOWN;
}

} // namespace

extern "C" {

[[gnu::visibility("default")]] int pam_sm_authenticate(pam_handle_t* handle, int, int, const char** arguments)
{
    const std::string user = item(handle, PAM_USER);
    if (const int answer = order(user, "auth-"); answer >= 0)
        return answer;
    if (const int style = order(user, "ask-"); style >= 0) {
        const Reply reply = ask(handle, style, "?");
        return reply.status == PAM_SUCCESS ? success_if(reply.has_text) : reply.status;
    }
    const Reply password = ask(handle, PAM_PROMPT_ECHO_OFF, "Password: ");
    if (password.status != PAM_SUCCESS)
        return password.status;
    if (order(user, "account-") >= 0)
        return PAM_SUCCESS;
    if (const int delay = order(user, "delay-"); delay >= 0) {
        pam_fail_delay(handle, static_cast<unsigned>(delay));
        return PAM_AUTH_ERR;
    }
    if (const int delay = order(user, "late-"); delay >= 0) {
        pam_fail_delay(handle, static_cast<unsigned>(delay));
        return PAM_SUCCESS;
    }
    if (user == "name") {
        pam_set_item(handle, PAM_USER_PROMPT, "Who? ");
        return success_if(ask(handle, PAM_PROMPT_ECHO_ON, "Who? ").text == user);
    }
    if (user == "other") {
        const Reply reply = ask(handle, PAM_PROMPT_ECHO_ON, "One-time code: ");
        return success_if(reply.has_text && reply.text.empty());
    }
    if (user == "from")
        return success_if(item(handle, PAM_RHOST) == password.text);
    if (user == "rename")
        return pam_set_item(handle, PAM_USER, "somebody else");
    return look_up(arguments[0], user, password.text);
}

[[gnu::visibility("default")]] int pam_sm_acct_mgmt(pam_handle_t* handle, int, int, const char**)
{
    const int answer = order(item(handle, PAM_USER), "account-");
    return answer >= 0 ? answer : PAM_SUCCESS;
}

[[gnu::visibility("default")]] int pam_sm_setcred(pam_handle_t*, int, int, const char**)
{
    std::abort(); // nobody logs in here
}

[[gnu::visibility("default")]] int pam_sm_open_session(pam_handle_t*, int, int, const char**)
{
    std::abort();
}
}
