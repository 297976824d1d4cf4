// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type sasldb: Cyrus SASL's own password file. The rules are the incumbent's: realm of the
// request or else the host's name, names compared byte for byte, passwords kept as they are.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"

#include <system_error>

namespace postern {

namespace {

class Sasldb final : public Backend {
public:
    explicit Sasldb(const BackendContext& context)
        : reader_{context.options.find("sasldb_path")->second}, secrets_{context.secrets}
    {
    }

    [[nodiscard]] Decision check(const Request& request) override;

private:
    [[nodiscard]] std::optional<Secret> stored_password(const Request& request);

    SasldbReader reader_;
    SecretArena& secrets_;
};

Decision Sasldb::check(const Request& request)
{
    if (request.user.empty() || request.password.empty())
        return {Verdict::rejected, "empty user or password"};
    const auto stored = stored_password(request);
    // An unknown user costs a comparison too, though only its answer is thrown away.
    const bool is_right = request.password.equals(stored ? *stored : request.password);
    if (!stored)
        return {Verdict::unknown_user, "unknown user"};
    if (!is_right)
        return {Verdict::rejected, "wrong password"};
    return {Verdict::accepted, ""};
}

std::optional<Secret> Sasldb::stored_password(const Request& request)
try {
    return reader_.password(request.user, request.realm.empty() ? sasldb_default_realm() : request.realm,
                            secrets_);

} catch (const SasldbError& error) {
    throw BackendError{error.what()};

} catch (const std::system_error& error) {

    throw BackendError{error.what()};
}

std::unique_ptr<Backend> make_sasldb(const BackendContext& context)
{
    const auto path = context.options.find("sasldb_path");
    if (path == context.options.end() || path->second.empty())
        throw BackendError{"sasldb_path names no file"};
    return std::make_unique<Sasldb>(context);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "sasldb", make_sasldb};
}

} // namespace postern
