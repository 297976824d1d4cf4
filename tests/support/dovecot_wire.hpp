// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/dovecot_auth.hpp"
#include "protocol/dovecot_client.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The Dovecot protocol's two sides, as tests look at them: bytes go in, in pieces of any size, and each
/// thing that was heard comes out as a line of text.
namespace postern {

/// A response or challenge as people can read it: decoded, with ^@ for each NUL.
inline std::string data_text(std::string_view base64)
{
    std::string memory(dovecot::response_bytes_max, '\0');
    const auto raw = dovecot::decode_base64(base64, memory);
    if (!raw)
        return "(no base64)";
    if (raw->empty())
        return "(empty)";
    std::string text;
    for (const char byte : *raw)
        text += byte == '\0' ? std::string{"^@"} : std::string{byte};
    return text;
}

inline std::string heard_text(const dovecot::Auth& auth)
{
    const auto& [service, client_address, server_address, client_port, server_port, local_name, session,
                 is_secured, has_no_penalty, takes_final_response] = auth.parameters;
    std::string text =
        "begin " + std::to_string(auth.id) + " " + std::string{auth.mechanism} + " " + std::string{service};
    const auto add = [&text](std::string_view name, const std::string& value) {
        if (!value.empty())
            text.append(" ").append(name).append(" ").append(value);
    };
    add("from", std::string{client_address});
    add("port", client_port == 0 ? "" : std::to_string(client_port));
    add("to", std::string{server_address});
    add("port", server_port == 0 ? "" : std::to_string(server_port));
    add("name", std::string{local_name});
    add("session", std::string{session});
    text += is_secured ? " secured" : "";
    text += has_no_penalty ? " no-penalty" : "";
    text += takes_final_response ? " final-resp-ok" : "";
    return auth.response ? text + ": " + data_text(*auth.response) : text;
}

inline std::string heard_text(const dovecot::Cont& cont)
{
    return "continue " + std::to_string(cont.id) + ": " + data_text(cont.response);
}

inline std::string heard_text(const dovecot::Cancel& cancel)
{
    return "cancel " + std::to_string(cancel.id);
}

inline std::string heard_text(const dovecot::Broken& broken)
{
    return "broken: " + std::string{dovecot::broken_text(broken.why)};
}

inline std::string heard_text(const dovecot::Greeted&)
{
    return "greeted";
}

inline std::string heard_text(const dovecot::Accepted& accepted)
{
    const std::string text = "accept " + std::to_string(accepted.id) + " " + std::string{accepted.user};
    return accepted.response ? text + ": " + data_text(*accepted.response) : text;
}

inline std::string heard_text(const dovecot::Refused& refused)
{
    std::string text = "refuse " + std::to_string(refused.id);
    text += refused.user.empty() ? "" : " user " + std::string{refused.user};
    text += refused.code.empty() ? "" : " code " + std::string{refused.code};
    text += refused.is_temporary ? " for now" : "";
    return refused.reason.empty() ? text : text + ": " + std::string{refused.reason};
}

inline std::string heard_text(const dovecot::Challenge& challenge)
{
    return "challenge " + std::to_string(challenge.id) + ": " + data_text(challenge.challenge);
}

inline std::string heard_text(const dovecot::Unusable& unusable)
{
    return "unusable: " + std::string{dovecot::unusable_text(unusable.why)};
}

/// Asks a side what it makes of bytes that come in pieces, with a buffer as small as one may be.
template <class Side>
class Listening {
public:
    /// What was heard of `bytes`, in pieces of `piece_bytes`. A connection that is broken says so once, and
    /// takes nothing more.
    std::vector<std::string> hear(Side& side, std::string_view bytes, std::size_t piece_bytes)
    {
        std::vector<std::string> heard;
        while (!bytes.empty() && !is_over_) {
            const std::size_t room = dovecot::line_bytes_max - arrived_.size();
            const std::string_view piece = bytes.substr(0, std::min(piece_bytes, room));
            arrived_.insert(arrived_.end(), piece.begin(), piece.end());
            bytes.remove_prefix(piece.size());
            while (take(side, heard) && !is_over_)
                ;
        }
        return heard;
    }

    /// The ids that a session would have in work.
    [[nodiscard]] bool is_live(std::uint32_t id) const { return live_.contains(id); }

    void end(std::uint32_t id) { live_.erase(id); }

private:
    bool take(Side& side, std::vector<std::string>& heard)
    {
        const auto [item, taken] = side.next(arrived_);
        if (taken > arrived_.size())
            throw std::logic_error{"more was taken than there was"};
        const bool is_more_there = std::visit([&](const auto& what) { return note(what, heard); }, item);
        if (taken > 0)
            arrived_ = std::vector(arrived_.begin() + static_cast<std::ptrdiff_t>(taken), arrived_.end());
        return is_more_there;
    }

    bool note(const dovecot::NeedsMore&, std::vector<std::string>&) { return false; }

    template <class What>
    bool note(const What& what, std::vector<std::string>& heard)
    {
        heard.push_back(heard_text(what));
        is_over_ = std::is_same_v<What, dovecot::Broken> || std::is_same_v<What, dovecot::Unusable>;
        note_id(what);
        return true;
    }

    template <class What>
    void note_id(const What&)
    {
    }

    void note_id(const dovecot::Auth& auth) { live_.insert(auth.id); }

    void note_id(const dovecot::Cancel& cancel) { live_.erase(cancel.id); }

    std::vector<char> arrived_; ///< seldom larger than what is in it, so that ASan knows where it ends
    std::set<std::uint32_t> live_;
    bool is_over_ = false;
};

/// A server that hears, and knows which ids are live.
struct DovecotServer {
    std::vector<std::string> hear(std::string_view bytes, std::size_t piece_bytes)
    {
        return listening.hear(side, bytes, piece_bytes);
    }

    Listening<dovecot::ServerSide> listening{};
    dovecot::ServerSide side{[this](std::uint32_t id) { return listening.is_live(id); }};
};

struct DovecotClient {
    std::vector<std::string> hear(std::string_view bytes, std::size_t piece_bytes)
    {
        return listening.hear(side, bytes, piece_bytes);
    }

    Listening<dovecot::ClientSide> listening{};
    dovecot::ClientSide side{};
};

} // namespace postern
