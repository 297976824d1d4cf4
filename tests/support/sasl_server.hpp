// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/sasl_exchange.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// A server with one account: an exchange, and what its session and its backend would do.
///
/// The keys of SCRAM come from libgsasl, so that they are not computed as a client of ours computes them.
class SaslServer {
public:
    struct Account {
        std::string user;
        std::string password;
    };

    enum class TakesData : bool { no, yes };

    SaslServer(sasl::Mechanism mechanism, Account account, TakesData takes_data = TakesData::no);

    /// What is said to the client; nothing when the exchange is over.
    std::optional<std::string> begin(std::optional<std::string_view> initial_response);
    std::optional<std::string> take(std::string_view response);

    [[nodiscard]] bool has_accepted() const noexcept { return has_accepted_; }
    /// Nothing where there was none, or no success.
    [[nodiscard]] const std::optional<std::string>& additional_data() const noexcept { return data_; }
    /// Why the exchange itself failed; empty when it was the password that was wrong.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

private:
    std::optional<std::string> drive(sasl::Step step);
    /// Nothing: refused.
    std::optional<sasl::Step> act_on(sasl::Step& step);
    /// The reply to a right proof.
    [[nodiscard]] std::optional<std::string> check(const sasl::CheckProof& proof) const;
    [[nodiscard]] std::optional<std::string> check_scram(const sasl::CheckProof& proof) const;

    sasl::Mechanism mechanism_;
    Account account_;
    SecretArena arena_{1024, 4};
    std::unique_ptr<sasl::Exchange> exchange_;
    bool has_accepted_ = false;
    std::optional<std::string> data_;
    std::string failure_;
};

} // namespace postern
