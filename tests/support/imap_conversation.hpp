// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/imap_dialogue.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

/// A dialogue in the hands of a test or a fuzzer: it gets what a server says in pieces of one size, and what
/// it wants is done at once, between the server's turns.
class ImapConversation {
public:
    ImapConversation(imap::StartTls start_tls, std::string user, std::string password)
        : user_{std::move(user)}
        , password_{std::move(password)}
        , memory_(imap::outgoing_bytes_max(user_.size() + password_.size()), '\0')
        , dialogue_{"a", start_tls}
    {
    }

    void hear(std::string_view said, std::size_t piece_bytes)
    {
        for (; !said.empty(); said.remove_prefix(std::min(piece_bytes, said.size())))
            dialogue_.receive(said.substr(0, piece_bytes));
        act();
    }

    /// What was sent since it was last asked; "TLS" stands for the handshake.
    [[nodiscard]] std::string take_sent() { return std::exchange(sent_, {}); }

    [[nodiscard]] imap::Dialogue& dialogue() noexcept { return dialogue_; }

private:
    void act()
    {
        using Wants = imap::Dialogue::Wants;
        for (;;) {
            switch (dialogue_.wants()) {
            case Wants::to_send: sent_ += dialogue_.outgoing(memory_); break;
            case Wants::tls:
                sent_ += "TLS\r\n";
                dialogue_.tls_started();
                break;
            case Wants::credentials: dialogue_.log_in(user_, password_); break;
            case Wants::to_receive:
            case Wants::nothing: return;
            }
        }
    }

    std::string user_;
    std::string password_;
    std::string memory_;
    imap::Dialogue dialogue_;
    std::string sent_;
};

} // namespace postern
