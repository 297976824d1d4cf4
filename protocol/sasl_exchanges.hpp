// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/sasl_exchange.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// What the mechanisms' sources show to each other; for nobody else.
namespace postern::sasl {

[[nodiscard]] std::unique_ptr<Exchange> make_plain_exchange(const ExchangeTerms& terms);
[[nodiscard]] std::unique_ptr<Exchange> make_login_exchange(const ExchangeTerms& terms);
[[nodiscard]] std::unique_ptr<Exchange> make_cram_md5_exchange(const ExchangeTerms& terms);
/// `digest_bytes`: of SHA-1 or SHA-256.
[[nodiscard]] std::unique_ptr<Exchange> make_scram_exchange(const ExchangeTerms& terms,
                                                            std::size_t digest_bytes);

/// What is wrong with the name of a user: it is empty, too long, or has a control byte, which no line of a
/// protocol or a log could carry. Bytes over 127 are nobody's business here.
[[nodiscard]] std::optional<Failure> user_problem(std::string_view user,
                                                  std::size_t field_bytes_max) noexcept;

/// CheckPassword, if both can be those of a user.
[[nodiscard]] Step check_password(std::string_view user, std::string_view password,
                                  const ExchangeTerms& terms);

} // namespace postern::sasl
