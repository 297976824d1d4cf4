// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type sasldb: Cyrus SASL's own password file. The rules are the incumbent's: realm of the
// request or else the host's name, names compared byte for byte. A user's password is there as it is, or as
// the Argon2id hash that only we know of.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/stores/password_hash.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"

#include <new>
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
    [[nodiscard]] std::optional<SasldbCredential> stored_credential(const Request& request);
    [[nodiscard]] bool matches(const SasldbCredential& stored, const Secret& password);
    void spend(const Secret& password);

    SasldbReader reader_;
    SecretArena& secrets_;
    bool has_met_hash_ = false;
};

Decision Sasldb::check(const Request& request)
{
    if (request.user.empty() || request.password.empty())
        return {Verdict::rejected, "empty user or password"};
    const auto stored = stored_credential(request);
    if (!stored) {
        spend(request.password);
        return {Verdict::unknown_user, "unknown user"};
    }
    if (!matches(*stored, request.password))
        return {Verdict::rejected, "wrong password"};
    return {Verdict::accepted, ""};
}

std::optional<SasldbCredential> Sasldb::stored_credential(const Request& request)
try {
    return reader_.credential(request.user, request.realm.empty() ? sasldb_default_realm() : request.realm,
                              secrets_);

} catch (const SasldbError& error) {
    throw BackendError{error.what()};

} catch (const std::system_error& error) {

    throw BackendError{error.what()};
}

bool Sasldb::matches(const SasldbCredential& stored, const Secret& password)
try {
    switch (stored.form) {
    case SasldbCredential::Form::plain: return password.equals(stored.bytes);
    case SasldbCredential::Form::argon2id:
        has_met_hash_ = true;
        return argon2id_matches(stored.bytes.view(), password);
    }
    return false;

} catch (const std::bad_alloc&) {

    throw BackendError{"there is no memory to compute the hash of a password"};
}

/// An unknown user costs what a known one does: a hash, as soon as there was one to be checked.
void Sasldb::spend(const Secret& password)
{
    static_cast<void>(password.equals(password));
    if (has_met_hash_)
        spend_argon2id(password);
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
