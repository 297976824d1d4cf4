// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/base64.hpp"
#include "protocol/sasl_exchange.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

/// Digits as they are, bytes in base64.
inline std::string proof_text(std::string_view proof)
{
    const bool is_text = std::ranges::all_of(proof, [](char byte) { return byte > ' ' && byte < '\x7f'; });
    return is_text ? std::string{proof} : in_base64(proof);
}

/// A step of an exchange as one line, with the secret in it, for a test's eye: "check password: alice
/// s3cret".
inline std::string step_text(const sasl::Step& step)
{
    struct Text {
        std::string operator()(const sasl::SendChallenge& send) const { return "S: " + send.bytes; }
        std::string operator()(const sasl::CheckPassword& check) const
        {
            return "check password: " + check.user + " " + std::string{check.password.view()};
        }
        std::string operator()(const sasl::AskChallenge& ask) const { return "ask challenge: " + ask.user; }
        std::string operator()(const sasl::CheckProof& check) const
        {
            return "check proof: " + check.user + " " + check.transcript + " " +
                   proof_text(check.proof.view());
        }
        std::string operator()(const sasl::Succeed& succeed) const
        {
            return "succeed" + (succeed.additional_data ? " " + *succeed.additional_data : "");
        }
        std::string operator()(const sasl::Fail& fail) const
        {
            return "fail: " + std::string{sasl::failure_text(fail.why)} +
                   (fail.user.empty() ? "" : " (" + fail.user + ")");
        }
    };
    return std::visit(Text{}, step);
}

} // namespace postern
