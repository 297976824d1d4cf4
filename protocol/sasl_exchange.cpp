// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/sasl_exchange.hpp"

#include "base/nul_byte.hpp"
#include "protocol/sasl_exchanges.hpp"

#include <algorithm>
#include <utility>

namespace postern::sasl {

std::string_view failure_text(Failure why) noexcept
{
    switch (why) {
    case Failure::malformed: return "the response is malformed";
    case Failure::empty_field: return "the user or the password is empty";
    case Failure::too_long: return "the response is too long";
    case Failure::control_byte: return "the name of the user has a control byte";
    case Failure::authorization_identity: return "the client wants to act for somebody else";
    case Failure::unsupported: return "the client demands what was not offered";
    case Failure::inconsistent: return "the response contradicts what was said before";
    case Failure::unexpected: return "the response was not asked for";
    case Failure::backend: return "the backend's reply is malformed";
    }
    return "invalid";
}

/// Does what is due, and remembers what is due then.
template <typename Act>
Step Exchange::when(Awaits awaited, const Act& act)
{
    struct AwaitsAfter {
        Awaits operator()(const SendChallenge&) const noexcept { return Awaits::response; }
        Awaits operator()(const CheckPassword&) const noexcept { return Awaits::acceptance; }
        Awaits operator()(const AskChallenge&) const noexcept { return Awaits::challenge; }
        Awaits operator()(const CheckProof&) const noexcept { return Awaits::acceptance; }
        Awaits operator()(const Succeed&) const noexcept { return Awaits::nothing; }
        Awaits operator()(const Fail&) const noexcept { return Awaits::nothing; }
    };

    if (std::exchange(awaits_, Awaits::nothing) != awaited)
        return Fail{Failure::unexpected};
    Step step = act();
    awaits_ = std::visit(AwaitsAfter{}, step);
    return step;
}

Step Exchange::begin(std::optional<std::string_view> initial_response)
{
    return when(Awaits::beginning, [&]() -> Step {
        if (!initial_response)
            return SendChallenge{first_challenge()};
        if (!allows_initial_response())
            return Fail{Failure::unexpected};
        return next(*initial_response);
    });
}

Step Exchange::take(std::string_view response)
{
    return when(Awaits::response, [&] { return next(response); });
}

Step Exchange::take_challenge(std::string_view reply)
{
    return when(Awaits::challenge, [&] { return challenge_with(reply); });
}

Step Exchange::take_acceptance(std::string_view reply)
{
    return when(Awaits::acceptance, [&] { return conclude(reply); });
}

Step Exchange::challenge_with(std::string_view)
{
    return Fail{Failure::unexpected};
}

Step Exchange::conclude(std::string_view)
{
    return Succeed{};
}

std::optional<Failure> user_problem(std::string_view user, std::size_t field_bytes_max) noexcept
{
    if (user.empty())
        return Failure::empty_field;
    if (user.size() > field_bytes_max)
        return Failure::too_long;
    if (std::ranges::any_of(user, [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }))
        return Failure::control_byte;
    return std::nullopt;
}

Step check_password(std::string_view user, std::string_view password, const ExchangeTerms& terms)
{
    if (const auto problem = user_problem(user, terms.field_bytes_max))
        return Fail{*problem};
    if (password.empty())
        return Fail{Failure::empty_field, std::string{user}};
    if (password.size() > terms.field_bytes_max)
        return Fail{Failure::too_long, std::string{user}};
    if (has_nul(password))
        return Fail{Failure::malformed, std::string{user}};
    return CheckPassword{std::string{user}, Secret{terms.secrets, password}};
}

std::unique_ptr<Exchange> make_exchange(Mechanism mechanism, const ExchangeTerms& terms)
{
    switch (mechanism) {
    case Mechanism::plain: return make_plain_exchange(terms);
    case Mechanism::login: return make_login_exchange(terms);
    case Mechanism::cram_md5: return make_cram_md5_exchange(terms);
    case Mechanism::scram_sha_1: return make_scram_exchange(terms, 20);
    case Mechanism::scram_sha_256: return make_scram_exchange(terms, 32);
    }
    return nullptr;
}

} // namespace postern::sasl
