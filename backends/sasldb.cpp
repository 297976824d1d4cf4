// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type sasldb: Cyrus SASL's own password file. The rules are the incumbent's: realm of the
// request or else the host's name, names compared byte for byte. A user's password is there as it is, or as a
// SCRAM verifier, or as the Argon2id hash that only we know of. What serves whom:
//
//     stored      PLAIN   SCRAM of its hash   other SCRAM   CRAM-MD5
//     plain       yes     yes                 yes           yes
//     scram       yes     yes                 no            no
//     argon2id    yes     no                  no            no
//     (empty)     no      no                  no            no
//
// Where a password as it is serves SCRAM, there is no salt in the file. The front has one for every user,
// and its own challenges of users who do not exist are made of it, too: it comes with the question, and the
// key that it is made of is not known here.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/stores/password_hash.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"
#include "backends/stores/scram_verifier.hpp"

#include <algorithm>
#include <new>
#include <system_error>

namespace postern {

namespace {

using Form = SasldbCredential::Form;

/// One of no bytes is nobody's: whoever knows of it could prove it.
bool is_password(const SasldbCredential& stored)
{
    return stored.form == Form::plain && !stored.bytes.empty();
}

std::string_view realm_of(const Request& request, std::string& host)
{
    if (!request.realm.empty())
        return request.realm;
    host = sasldb_default_realm();
    return host;
}

const std::string& salt_of(const Request& request)
{
    if (request.salt.size() != scram_salt_bytes)
        throw BackendError{"no salt came with the question"};
    return request.salt;
}

Decision wrong_proof()
{
    return {Verdict::rejected, "wrong proof"};
}

Decision accepted(std::string reply)
{
    return {Verdict::accepted, "", false, {}, std::move(reply)};
}

/// Says, for the log, why a known user cannot log in so.
Decision unsuitable(const Request& request)
{
    return {Verdict::rejected,
            "the form in which the password is stored does not serve " + request.mechanism};
}

class Sasldb final : public Backend {
public:
    explicit Sasldb(const BackendContext& context)
        : reader_{context.options.find("sasldb_path")->second}, secrets_{context.secrets}
    {
    }

    [[nodiscard]] Decision check(const Request& request) override;
    [[nodiscard]] Decision challenge(const Request& request) override;
    [[nodiscard]] Decision prove(const Request& request) override;

private:
    [[nodiscard]] std::optional<SasldbCredential> stored_credential(const Request& request);
    [[nodiscard]] bool matches(const SasldbCredential& stored, const Secret& password);
    [[nodiscard]] bool matches_verifier(const SasldbCredential& stored, const Secret& password);
    void spend(const Secret& password);
    [[nodiscard]] Decision challenge_scram(const Request& request, const SasldbCredential& stored,
                                           ScramHash hash);
    [[nodiscard]] Decision prove_scram(const Request& request, const SasldbCredential& stored,
                                       ScramHash hash);
    void spend_proof(const Request& request);

    SasldbReader reader_;
    SecretArena& secrets_;
    bool has_met_hash_ = false;
    bool has_met_plain_proof_ = false;
    std::uint32_t iterations_met_ = 0; ///< the most that a verifier has cost
};

/// Whatever keeps the source from being asked is an outage.
template <typename Work>
auto or_outage(Work work)
try {
    return work();

} catch (const SasldbError& error) {
    throw BackendError{error.what()};

} catch (const std::system_error& error) {

    throw BackendError{error.what()};

} catch (const std::bad_alloc&) {

    throw BackendError{"there is no memory to compute the hash of a password"};
}

Decision Sasldb::check(const Request& request)
{
    if (request.user.empty() || request.password.empty())
        return {Verdict::rejected, "empty user or password"};
    const auto stored = stored_credential(request);
    if (!stored) {
        spend(request.password);
        return {Verdict::unknown_user, "unknown user"};
    }
    if (!or_outage([&] { return matches(*stored, request.password); }))
        return {Verdict::rejected, "wrong password"};
    return {Verdict::accepted, ""};
}

std::optional<SasldbCredential> Sasldb::stored_credential(const Request& request)
{
    return or_outage([&] {
        std::string host;
        return reader_.credential(request.user, realm_of(request, host), secrets_);
    });
}

bool Sasldb::matches(const SasldbCredential& stored, const Secret& password)
{
    switch (stored.form) {
    case Form::plain: return password.equals(stored.bytes);
    case Form::scram: return matches_verifier(stored, password);
    case Form::argon2id: has_met_hash_ = true; return argon2id_matches(stored.bytes.view(), password);
    }
    return false;
}

bool Sasldb::matches_verifier(const SasldbCredential& stored, const Secret& password)
{
    const auto verifier = ScramVerifier::parse(stored.bytes.view());
    if (!verifier) {
        spend(password);
        return false;
    }
    iterations_met_ = std::max(iterations_met_, verifier->iterations());
    return verifier->matches(password);
}

/// An unknown user costs what a known one does: a hash, as soon as there was one to be checked.
void Sasldb::spend(const Secret& password)
{
    static_cast<void>(password.equals(password));
    if (has_met_hash_)
        spend_argon2id(password);
    else if (iterations_met_ != 0)
        spend_scram(ScramHash::sha256, password, iterations_met_);
}

Decision Sasldb::challenge(const Request& request)
{
    if (request.user.empty())
        return {Verdict::rejected, "empty user"};
    const auto stored = stored_credential(request);
    const auto hash = scram_hash_of(request.mechanism);
    if (!stored)
        return {Verdict::unknown_user, "unknown user"};
    if (hash)
        return challenge_scram(request, *stored, *hash);
    return request.mechanism == "CRAM-MD5" && is_password(*stored) ? accepted("") : unsuitable(request);
}

Decision Sasldb::challenge_scram(const Request& request, const SasldbCredential& stored, ScramHash hash)
{
    if (is_password(stored))
        return accepted(scram_challenge(salt_of(request), scram_iterations));
    const auto verifier =
        stored.form == Form::scram ? ScramVerifier::parse(stored.bytes.view()) : std::nullopt;
    return verifier && verifier->hash() == hash ? accepted(verifier->challenge()) : unsuitable(request);
}

Decision Sasldb::prove(const Request& request)
{
    if (request.user.empty() || request.password.empty() || request.transcript.empty())
        return {Verdict::rejected, "empty user, proof or transcript"};
    const auto stored = stored_credential(request);
    if (!stored) {
        or_outage([&] { spend_proof(request); });
        return {Verdict::unknown_user, "unknown user"};
    }
    if (const auto hash = scram_hash_of(request.mechanism))
        return or_outage([&] { return prove_scram(request, *stored, *hash); });
    if (request.mechanism != "CRAM-MD5" || !is_password(*stored))
        return unsuitable(request);
    return cram_md5_proves(stored->bytes, request.transcript, request.password) ? accepted("")
                                                                                : wrong_proof();
}

Decision Sasldb::prove_scram(const Request& request, const SasldbCredential& stored, ScramHash hash)
{
    std::optional<ScramVerifier> verifier;
    if (is_password(stored)) {
        has_met_plain_proof_ = true;
        verifier = ScramVerifier::make(hash, stored.bytes, salt_of(request), scram_iterations);
    }
    if (stored.form == Form::scram)
        verifier = ScramVerifier::parse(stored.bytes.view());
    if (!verifier || verifier->hash() != hash)
        return unsuitable(request);
    auto signature = verifier->prove(request.transcript, request.password);
    return signature ? accepted(std::move(*signature)) : wrong_proof();
}

/// As spend(): what a proof costs here is a password that is stored as it is.
void Sasldb::spend_proof(const Request& request)
{
    const auto hash = scram_hash_of(request.mechanism);
    if (hash && has_met_plain_proof_)
        spend_scram(*hash, request.password, scram_iterations);
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
