// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/sasl_exchanges.hpp"

namespace postern::sasl {

namespace {

/// Two questions and two answers. The draft has other prompts, but clients compare with these.
class LoginExchange final : public Exchange {
public:
    explicit LoginExchange(const ExchangeTerms& terms) : terms_{terms} {}

private:
    std::string first_challenge() const override { return "Username:"; }

    Step next(std::string_view response) override
    {
        if (!user_.empty())
            return check_password(user_, response, terms_);
        if (const auto problem = user_problem(response, terms_.field_bytes_max))
            return Fail{*problem};
        user_ = response;
        return SendChallenge{"Password:"};
    }

    ExchangeTerms terms_;
    std::string user_;
};

} // namespace

std::unique_ptr<Exchange> make_login_exchange(const ExchangeTerms& terms)
{
    return std::make_unique<LoginExchange>(terms);
}

} // namespace postern::sasl
