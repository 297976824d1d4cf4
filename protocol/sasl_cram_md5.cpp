// SPDX-License-Identifier: BSD-2-Clause
#include "base/lower_case.hpp"
#include "protocol/sasl_exchanges.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace postern::sasl {

namespace {

constexpr std::size_t digits = 32;

bool is_hexadecimal(char digit) noexcept
{
    return (digit >= '0' && digit <= '9') || (lower(digit) >= 'a' && lower(digit) <= 'f');
}

/// The server speaks first; "user digits" is the answer, where the user's name may hold blanks too.
class CramMd5Exchange final : public Exchange {
public:
    explicit CramMd5Exchange(const ExchangeTerms& terms) : terms_{terms}
    {
        assert(!terms_.challenge.empty());
    }

private:
    std::string first_challenge() const override { return terms_.challenge; }
    bool allows_initial_response() const override { return false; }

    Step next(std::string_view response) override
    {
        const std::size_t blank = response.rfind(' ');
        if (blank == std::string_view::npos)
            return Fail{Failure::malformed};
        const std::string_view user = response.substr(0, blank);
        const std::string_view digest = response.substr(blank + 1);
        if (const auto problem = user_problem(user, terms_.field_bytes_max))
            return Fail{*problem};
        if (digest.size() != digits || !std::ranges::all_of(digest, is_hexadecimal))
            return Fail{Failure::malformed, std::string{user}};

        Secret proof{terms_.secrets, digest};
        std::ranges::transform(digest, proof.buffer().begin(), lower); // one spelling for every backend
        return CheckProof{std::string{user}, terms_.challenge, std::move(proof)};
    }

    ExchangeTerms terms_;
};

} // namespace

std::unique_ptr<Exchange> make_cram_md5_exchange(const ExchangeTerms& terms)
{
    return std::make_unique<CramMd5Exchange>(terms);
}

} // namespace postern::sasl
