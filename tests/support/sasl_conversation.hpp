// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/sasl_steps.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace postern {

/// Bytes as a transcript has them: "\0" is a NUL, "\xff" that byte, "\\" a backslash.
inline std::string bytes_of(const std::string& text)
{
    std::string bytes;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\') {
            bytes += text[at];
            continue;
        }
        const char kind = text.at(++at);
        if (kind == 'x') {
            bytes += static_cast<char>(std::stoi(text.substr(at + 1, 2), nullptr, 16));
            at += 2;
        } else {
            bytes += kind == '0' ? '\0' : kind;
        }
    }
    return bytes;
}

/// Its counterpart.
inline std::string text_of(const std::string& bytes)
{
    std::ostringstream text;
    for (const char byte : bytes) {
        const auto number = static_cast<unsigned char>(byte);
        if (byte == '\\')
            text << "\\\\";
        else if (byte == '\0')
            text << "\\0";
        else if (number < 0x20 || number >= 0x7f)
            text << "\\x"
                 << "0123456789abcdef"[number >> 4U] << "0123456789abcdef"[number & 15U];
        else
            text << byte;
    }
    return text.str();
}

/// What an exchange may be told beyond the client's words.
struct ConversationTerms {
    std::string challenge = "<1@postern>";
    std::string nonce = "server";
    bool takes_data_with_success = false;
    std::size_t field_bytes_max = 1024;
};

/// Plays a transcript, in reading order. Lines with "C: " are a client's, and with "B: " the backend's reply
/// when it has accepted; all others are what the exchange must say then. One that begins with "S: " has had
/// no initial response.
inline void converse(sasl::Mechanism mechanism, const std::string& text, const ConversationTerms& terms = {})
{
    SecretArena arena{terms.field_bytes_max + 64, 2};
    const auto exchange = make_exchange(mechanism, {.secrets = arena,
                                                    .challenge = terms.challenge,
                                                    .nonce = terms.nonce,
                                                    .takes_data_with_success = terms.takes_data_with_success,
                                                    .field_bytes_max = terms.field_bytes_max});
    std::optional<sasl::Step> step;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        line.erase(0, line.find_first_not_of(' '));
        if (line.empty())
            continue;
        CAPTURE(line);
        const std::string said = bytes_of(line.substr(line.size() < 3 ? line.size() : 3));
        if (line.starts_with("C:")) {
            step = step ? exchange->take(said) : exchange->begin(said);
        } else if (line.starts_with("B:")) {
            REQUIRE(step);
            step = std::holds_alternative<sasl::AskChallenge>(*step) ? exchange->take_challenge(said)
                                                                     : exchange->take_acceptance(said);
        } else {
            if (!step)
                step = exchange->begin(std::nullopt);
            const std::string expected = line == "S:" ? "S: " : line;
            CHECK(text_of(step_text(*step)) == expected);
        }
    }
}

/// The same for an exchange of one message of a client: what is said to it.
inline std::string answer_to(sasl::Mechanism mechanism, const std::string& message,
                             const ConversationTerms& terms = {})
{
    SecretArena arena{terms.field_bytes_max + 64, 2};
    const auto exchange = make_exchange(mechanism, {.secrets = arena,
                                                    .challenge = terms.challenge,
                                                    .nonce = terms.nonce,
                                                    .field_bytes_max = terms.field_bytes_max});
    if (mechanism != sasl::Mechanism::cram_md5)
        return step_text(exchange->begin(message));
    static_cast<void>(exchange->begin(std::nullopt));
    return step_text(exchange->take(message));
}

} // namespace postern
