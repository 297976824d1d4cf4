// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type getpwent: the host's accounts, by the hash in their passwd entry (passwd(5)). On a host
// with shadow passwords there is none but `x`, which no password matches. The words are the incumbent's.
//
// The time that a refusal takes is that of one hash, whether there is such an account or not.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/name_service_entry.hpp"
#include "backends/stores/password_hash.hpp"

#include <pwd.h>

namespace postern {

namespace {

class Getpwent final : public Backend {
public:
    explicit Getpwent(Log& log) : debug_lines_{log, "auth_getpwent"} {}

    [[nodiscard]] Decision check(const Request& request) override;

private:
    const DebugLines debug_lines_;
};

Decision Getpwent::check(const Request& request)
{
    const NameServiceEntry<passwd> entry{::getpwnam_r, request.user, "Username lookup failure", debug_lines_,
                                         "getpwnam"};
    if (!entry) {
        spend_crypt(request.password);
        debug_lines_.write("getpwnam(" + request.user + "): invalid username");
        return {Verdict::unknown_user, "Invalid username"};
    }
    const char* const hash = (*entry).pw_passwd;
    if (request.password.empty() || !crypt_matches(hash == nullptr ? "" : hash, request.password)) {
        debug_lines_.write(request.user + ": invalid password");
        return {Verdict::rejected, "Incorrect password"};
    }
    debug_lines_.write("OK: " + request.user);
    return {Verdict::accepted, ""};
}

std::unique_ptr<Backend> make_getpwent(const BackendContext& context)
{
    return std::make_unique<Getpwent>(context.log);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "getpwent", make_getpwent};
}

} // namespace postern
