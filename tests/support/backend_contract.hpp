// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "backends/backend_types.hpp"
#include "backends/plugin_loader.hpp"
#include "protocol/scram_challenge.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/recording_servers.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

/// What every backend must do, whatever its source: the cases that each backend's test begins with.
///
/// They run the real plug-in, loaded as the daemon loads it.
namespace postern {

/// Who logs in, as a test writes it.
struct Login {
    std::string user;
    std::string password;
    std::string realm{};
    std::string service = "imap";
};

/// A source with users in it, as the contract's cases need it. Each backend's test brings one.
class ContractSource {
public:
    static constexpr std::size_t field_bytes_max = 1024; ///< the daemon's default

    virtual ~ContractSource() = default;

    [[nodiscard]] virtual std::string type() const = 0;
    [[nodiscard]] virtual BackendOptions options() const = 0;

    [[nodiscard]] virtual Login known() const = 0;
    [[nodiscard]] virtual Login unknown() const = 0;
    /// What the source says of such a login: some do not tell it from a wrong password.
    [[nodiscard]] virtual Verdict unknown_verdict() const { return Verdict::unknown_user; }
    [[nodiscard]] virtual Login
    eight_bit() const = 0; ///< known, with bytes over 127 where the source can have them
    [[nodiscard]] virtual Login
    maximal() const = 0; ///< known, with fields as long as the source can have them

    /// Somebody whose stored password has no bytes, where the source can have it so.
    [[nodiscard]] virtual std::optional<Login> without_password() { return std::nullopt; }

    /// Makes the source one that cannot be asked. Returns a login that was right until then.
    [[nodiscard]] virtual Login break_down() = 0;
};

/// The plug-in of that type. Its file stays open for good: the loader loads it by the number of its
/// descriptor, and what was once loaded under that name would be found again instead of the next file.
inline const Plugin& plugin_of(const std::string& type)
{
    static std::map<std::string, UniqueFd> files;
    const auto [file, is_new] = files.try_emplace(type);
    if (is_new)
        file->second = open_plugin(POSTERN_PLUGIN_DIRECTORY "/" + plugin_file_name(type));
    return load_plugin(file->second.get(), type);
}

/// A backend in the hands of a test: loaded, made, and asked as a worker would.
class LoadedBackend {
public:
    LoadedBackend(const std::string& type, BackendOptions options)
        : options_{std::move(options)}
        , backend_{plugin_of(type).make_backend({options_, secrets_, log_, servers})}
    {
    }

    Decision check(const Login& login)
    {
        Request request{login.user, Secret{secrets_, login.password}, login.service, login.realm, ""};
        return backend_->check(request);
    }

    Decision challenge(const Login& login, const std::string& mechanism)
    {
        Request request{login.user, Secret{}, login.service, login.realm, ""};
        request.mechanism = mechanism;
        request.asked = Asked::challenge;
        request.salt = salt;
        return backend_->challenge(request);
    }

    /// `login.password` is the proof.
    Decision prove(const Login& login, const std::string& mechanism, const std::string& transcript)
    {
        Request request{login.user, Secret{secrets_, login.password}, login.service, login.realm, ""};
        request.mechanism = mechanism;
        request.asked = Asked::proof;
        request.transcript = transcript;
        request.salt = salt;
        return backend_->prove(request);
    }

    /// What the backend said beside its decisions.
    [[nodiscard]] const std::vector<std::string>& log_lines() const { return log_.lines; }

    [[nodiscard]] std::size_t secrets_held() const { return slots_max - secrets_.slots_free(); }

    [[nodiscard]] Backend& backend() noexcept { return *backend_; }

    RecordingServers servers;                              ///< what the front would know of them
    std::string salt = std::string(scram_salt_bytes, 's'); ///< that it would give to whoever is asked about

private:
    static constexpr std::size_t slots_max = 4;
    RecordingLog log_;
    SecretArena secrets_{ContractSource::field_bytes_max, slots_max};
    BackendOptions options_;
    std::unique_ptr<Backend> backend_;
};

inline Login with_password(Login login, std::string password)
{
    login.password = std::move(password);
    return login;
}

inline Login with_user(Login login, std::string user)
{
    login.user = std::move(user);
    return login;
}

/// Whether the login is let in; that no text of the backend gives its password away is checked on the way.
inline Verdict verdict_of(LoadedBackend& backend, const Login& login)
{
    const Decision decision = backend.check(login);
    if (!login.password.empty())
        CHECK(decision.reason.find(login.password) == std::string::npos);
    CHECK(backend.secrets_held() == 0);
    return decision.verdict;
}

/// The text of the BackendError that the login ends in.
inline std::string outage_of(LoadedBackend& backend, const Login& login)
{
    std::string text;
    try {
        const Decision decision = backend.check(login);
        FAIL("a source that is down said " << verdict_text(decision.verdict));
    } catch (const BackendError& error) {
        text = error.what();
    }
    CHECK_FALSE(text.empty());
    CHECK(text.find(login.password) == std::string::npos);
    CHECK(backend.secrets_held() == 0);
    return text;
}

/// To be called in a TEST_CASE of its own: the cases are its sections.
inline void keeps_the_backend_contract(ContractSource& source)
{
    LoadedBackend backend{source.type(), source.options()};

    SECTION("the right password is accepted, again and again")
    {
        for (int i = 0; i < 3; ++i)
            CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
    }
    SECTION("a wrong password is rejected, however near")
    {
        const Login known = source.known();
        for (const std::string& wrong : {known.password + "x", known.password.substr(1), std::string{"x"},
                                         known.password.substr(0, known.password.size() - 1)})
            CHECK(verdict_of(backend, with_password(known, wrong)) == Verdict::rejected);
    }
    SECTION("an unknown user is not accepted")
    {
        CHECK(verdict_of(backend, source.unknown()) == source.unknown_verdict());
    }
    SECTION("an empty password is rejected, known user or not")
    {
        CHECK(verdict_of(backend, with_password(source.known(), "")) == Verdict::rejected);
        CHECK(is_refusal(verdict_of(backend, with_password(source.unknown(), ""))));
    }
    if (const auto nobodys = source.without_password()) {
        SECTION("a stored password of no bytes lets nobody in, by whatever mechanism")
        {
            for (const char* const password : {"", "x"})
                CHECK(verdict_of(backend, with_password(*nobodys, password)) == Verdict::rejected);
            for (const std::string_view mechanism : find_backend_type(source.type())->mechanisms)
                CHECK(backend.challenge(*nobodys, std::string{mechanism}).verdict == Verdict::rejected);
        }
    }
    SECTION("an empty user is refused")
    {
        CHECK(is_refusal(verdict_of(backend, with_user(source.known(), ""))));
    }
    SECTION("bytes above 127 are bytes like others")
    {
        CHECK(verdict_of(backend, source.eight_bit()) == Verdict::accepted);
        CHECK(verdict_of(backend, with_password(source.eight_bit(), "\xff\xfe\x80")) == Verdict::rejected);
    }
    SECTION("fields of the greatest length are whole")
    {
        const Login maximal = source.maximal();
        CHECK(verdict_of(backend, maximal) == Verdict::accepted);
        const std::string cut = maximal.password.substr(0, maximal.password.size() - 1);
        CHECK(verdict_of(backend, with_password(maximal, cut)) == Verdict::rejected);
        const std::string longest(ContractSource::field_bytes_max, 'x');
        CHECK(is_refusal(verdict_of(backend, {longest, longest, longest, longest})));
    }
    SECTION("a login changes nothing for the next")
    {
        CHECK(verdict_of(backend, with_password(source.known(), "not-it")) == Verdict::rejected);
        CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
        CHECK(verdict_of(backend, with_password(source.known(), "not-it")) == Verdict::rejected);
    }
    SECTION("a source that is down is an outage, never a verdict, and its text holds no password")
    {
        outage_of(backend, source.break_down());
    }
}

} // namespace postern
