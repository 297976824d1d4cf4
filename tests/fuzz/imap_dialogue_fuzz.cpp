// SPDX-License-Identifier: BSD-2-Clause

// Whatever a server says, and in whatever pieces it comes, the dialogue says the same: it lets nobody in who
// was not let in by a whole line, sends no line that it did not mean to, and gives no password away.
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/imap_conversation.hpp"

#include <string>
#include <vector>

using namespace postern;

namespace {

constexpr char end_of_turn = '\x1e';
constexpr std::string_view password_mark = "S3CRET";

/// What is to be said, turn by turn: what we want is done between turns.
std::vector<std::string_view> turns_of(std::string_view bytes)
{
    std::vector<std::string_view> turns;
    while (!bytes.empty()) {
        turns.push_back(bytes.substr(0, bytes.find(end_of_turn)));
        bytes.remove_prefix(std::min(turns.back().size() + 1, bytes.size()));
    }
    return turns;
}

struct Outcome {
    bool is_decided = false;
    Decision decision;
    std::string sent;
};

Outcome outcome_of(const std::vector<std::string_view>& turns, imap::StartTls start_tls,
                   const std::string& password, std::size_t piece_bytes)
{
    ImapConversation conversation{start_tls, "al\"ice", password};
    Outcome outcome;
    for (const std::string_view turn : turns) {
        conversation.hear(turn, piece_bytes);
        outcome.sent += conversation.take_sent();
    }
    conversation.dialogue().end_of_stream();
    outcome.is_decided = conversation.dialogue().wants() == imap::Dialogue::Wants::nothing;
    outcome.decision = conversation.dialogue().decision();
    return outcome;
}

/// Whether the server has said a line of that beginning.
bool has_said(std::string_view bytes, std::string_view beginning)
{
    std::string line;
    for (const char byte : std::string{bytes} + "\n") {
        if (byte == end_of_turn) // no byte of the server's
            continue;
        if (byte != '\n')
            line += byte;
        else if (std::string lower = std::exchange(line, {}); lower.size() >= beginning.size()) {
            for (char& letter : lower)
                letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
            if (lower.starts_with(beginning))
                return true;
        }
    }
    return false;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzInput input{data, size};
    const std::size_t flags = input.take_number();
    const std::size_t piece_bytes = 1 + input.take_number();
    const auto start_tls = (flags & 1) != 0 ? imap::StartTls::required : imap::StartTls::no;
    const std::string password = std::string{password_mark} + ((flags & 2) != 0 ? "\r\na1 NOOP" : "");
    const auto turns = turns_of(input.rest());
    std::string said; // as the one stream that it is to who reads it
    for (const std::string_view turn : turns)
        said += turn;

    const Outcome whole = outcome_of(turns, start_tls, password, size + 1);
    const Outcome pieces = outcome_of(turns, start_tls, password, piece_bytes);
    promise(whole.is_decided, "a server that is gone has been decided about");
    promise(whole.sent == pieces.sent && whole.decision.verdict == pieces.decision.verdict &&
                whole.decision.reason == pieces.decision.reason,
            "pieces mean nothing");
    if (whole.decision.verdict == Verdict::accepted)
        promise(has_said(said, "a1 ok") || has_said(said, "a2 ok") || has_said(said, "a3 ok"),
                "nobody is let in whom the server did not let in");
    if (said.find(password_mark) == std::string::npos)
        promise(whole.decision.reason.find(password_mark) == std::string::npos, "no reason has a password");
    if (start_tls == imap::StartTls::required && whole.sent.find("\r\nTLS\r\n") == std::string::npos)
        promise(whole.sent.empty() || whole.sent == "a1 STARTTLS\r\n", "nothing is sent without TLS");
    return 0;
}
