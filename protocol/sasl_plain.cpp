// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/sasl_exchanges.hpp"

#include <algorithm>

namespace postern::sasl {

namespace {

/// The one message of RFC 4616: [authzid] NUL authcid NUL password.
class PlainExchange final : public Exchange {
public:
    explicit PlainExchange(const ExchangeTerms& terms) : terms_{terms} {}

private:
    Step next(std::string_view message) override
    {
        if (std::ranges::count(message, '\0') != 2)
            return Fail{Failure::malformed};
        const std::size_t first = message.find('\0');
        const std::size_t second = message.find('\0', first + 1);
        const std::string_view authzid = message.substr(0, first);
        const std::string_view authcid = message.substr(first + 1, second - first - 1);

        Step step = check_password(authcid, message.substr(second + 1), terms_);
        if (std::holds_alternative<CheckPassword>(step) && !authzid.empty() && authzid != authcid)
            return Fail{Failure::authorization_identity, std::string{authcid}};
        return step;
    }

    ExchangeTerms terms_;
};

} // namespace

std::unique_ptr<Exchange> make_plain_exchange(const ExchangeTerms& terms)
{
    return std::make_unique<PlainExchange>(terms);
}

} // namespace postern::sasl
