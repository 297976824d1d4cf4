// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/sasl_exchange.hpp"

#include <sodium.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

inline std::string in_base64(std::string_view bytes)
{
    std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                      bytes.size(), sodium_base64_VARIANT_ORIGINAL);
    text.pop_back(); // its NUL
    return text;
}

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
