// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type shadow: the host's accounts, by the hash in their shadow entry (shadow(5)). The rules
// and the words are the incumbent's, but for an expiry date of 0, which it takes for a day in 1970: here it
// means what an empty one means. Inactivity, login shells and nologin do not count, as ever.
//
// The time that a refusal takes is that of one hash, whether there is such an account or not.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/name_service_entry.hpp"
#include "backends/stores/password_hash.hpp"

#include <pwd.h>
#include <shadow.h>

#include <ctime>
#include <string>

namespace postern {

namespace {

constexpr std::string_view hidden_by_nis = "*NP*";

using PasswdEntry = NameServiceEntry<passwd>;
using ShadowEntry = NameServiceEntry<spwd>;

/// As the dates of a shadow entry are counted.
long days_since_1970()
{
    constexpr long seconds_of_a_day = 86'400;
    return std::time(nullptr) / seconds_of_a_day;
}

bool has_expired(const spwd& entry, long today)
{
    return entry.sp_expire > 0 && today > entry.sp_expire;
}

bool is_password_too_old(const spwd& entry, long today)
{
    return entry.sp_lstchg >= 0 && entry.sp_max >= 0 && today - entry.sp_lstchg > entry.sp_max;
}

class Shadow final : public Backend {
public:
    explicit Shadow(Log& log) : debug_lines_{log, "auth_shadow"} {}

    [[nodiscard]] Decision check(const Request& request) override;

private:
    [[nodiscard]] Decision judge(const spwd& entry, const Request& request) const;

    const DebugLines debug_lines_;
};

Decision unknown(const Request& request, const char* reason)
{
    spend_crypt(request.password);
    return {Verdict::unknown_user, reason};
}

Decision barred(const char* reason)
{
    return {Verdict::barred, reason, true};
}

Decision Shadow::judge(const spwd& entry, const Request& request) const
{
    const std::string_view hash = entry.sp_pwdp == nullptr ? "" : entry.sp_pwdp;
    if (hash == hidden_by_nis) {
        debug_lines_.write("sp->sp_pwdp == SHADOW_PW_EPERM");
        throw BackendError{"Insufficient permission to access NIS authentication database (saslauthd)"};
    }
    if (request.password.empty() || !crypt_matches(hash, request.password))
        return {Verdict::rejected, "Incorrect password"};
    const long today = days_since_1970();
    if (has_expired(entry, today)) {
        debug_lines_.write("account expired: " + std::to_string(today) + " > " +
                           std::to_string(entry.sp_expire));
        return barred("Account expired");
    }
    if (is_password_too_old(entry, today)) {
        debug_lines_.write("password expired: " + std::to_string(entry.sp_lstchg) + " + " +
                           std::to_string(entry.sp_max) + " < " + std::to_string(today));
        return barred("Password expired");
    }
    debug_lines_.write("OK: " + request.user);
    return {Verdict::accepted, ""};
}

Decision Shadow::check(const Request& request)
{
    if (!PasswdEntry{::getpwnam_r, request.user, "Username lookup failure", debug_lines_, "getpwnam"}) {
        debug_lines_.write("getpwnam(" + request.user + "): invalid username");
        return unknown(request, "Invalid username");
    }
    const ShadowEntry entry{::getspnam_r, request.user, "Username shadow lookup failure", debug_lines_,
                            "getspnam"};
    if (!entry) {
        debug_lines_.write("getspnam(" + request.user + "): invalid shadow username");
        return unknown(request, "Invalid shadow username");
    }
    return judge(*entry, request);
}

std::unique_ptr<Backend> make_shadow(const BackendContext& context)
{
    return std::make_unique<Shadow>(context.log);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "shadow", make_shadow};
}

} // namespace postern
