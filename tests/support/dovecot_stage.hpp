// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "daemon/dovecot_session.hpp"
#include "tests/support/scripted_front.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// A session of the Dovecot protocol, and transcripts of what is said on its connection.
namespace postern {

/// A listener on which a session of such a stage was accepted, unless its test has another.
[[nodiscard]] ListenerConfig submission();

/// As people write a line: with blanks for TABs, and {text} for base64, in which \0 is a NUL.
[[nodiscard]] std::string wire(const std::string& text);

/// What comes behind "AUTH ID " when the user logs in by PLAIN.
[[nodiscard]] std::string plain(const std::string& user);

/// Begins logins of the users u1, u2, … by PLAIN, under ids of the same numbers.
[[nodiscard]] std::string many_logins(std::size_t count);

/// One session, its peer, and the workers behind it.
struct DovecotStage : ScriptedFront {
    static constexpr std::size_t slots_max = 128;

    explicit DovecotStage(ListenerConfig config = submission(), std::size_t slots = slots_max);

    DovecotStage& begin();
    /// Past the handshake.
    DovecotStage& introduce(const std::string& version = "VERSION 1 0");
    /// Begins logins by LOGIN, which wait for their clients then.
    void begin_waiting(std::size_t count);

    void say(std::string_view bytes) const;
    /// The session's next lines, and "end" once, at the end of the stream.
    [[nodiscard]] std::vector<std::string> heard();
    /// The peer's end is closed.
    void leave();

    /// Beside what was logged.
    [[nodiscard]] std::string logged() const;
    [[nodiscard]] Session& session() { return *sessions.front(); }
    [[nodiscard]] bool is_ended() const { return sessions.empty(); }
    /// Whether the session ends at this distance from now, and not before.
    [[nodiscard]] bool ends_after(Duration distance);
    [[nodiscard]] bool is_scratch_wiped();

    ListenerConfig listener;
    Secret scratch{secrets, {}};
    SessionServices services{loop,
                             log,
                             secrets,
                             authenticator,
                             scratch,
                             random_bytes,
                             [this](SessionList::iterator session) { sessions.erase(session); },
                             [](SessionList::iterator) {}};
    UniqueFd peer, session_end;
    std::string arrived;
    bool has_ended = false; ///< the peer has heard so
    SessionList sessions;
};

/// Whatever became of them, no login keeps a slot: that of the shared buffer is all that is left.
void check_no_slot_is_lost(DovecotStage& stage);

/// Reads a transcript to its end, and checks that the session says what is written there and nothing else:
///
///     C: AUTH 1 PLAIN …         the peer's line
///     B: alice accepted REPLY   what a worker says of the user that it was asked about
///     T: 150                    seconds pass
///     S: OK 1 user=alice        the session's next line; "S: end" when it ends the connection
///
/// NONCE in a peer's line is the one of SCRAM that the session has sent last; ZEROS is the base64 of 32
/// bytes, which may be a proof or a signature; "…" in a session's line stands for whatever is there.
void play(DovecotStage& stage, const std::string& text);

/// The rest of what there is to say. The session has ended if that is written there, and no slot is lost.
void play_to_the_end(DovecotStage& stage, const std::string& text);

/// The same from the handshake on.
void converse(DovecotStage& stage, const std::string& text);
void converse(const ListenerConfig& config, const std::string& text);
void converse(const std::string& text);

/// Pieces of transcripts. Alice logs in by PLAIN, under id 1.
inline const std::string alice_logs_in = R"(
    C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
    B: alice accepted
    S: OK 1 user=alice
)";

/// Alice is let in, and hers was the last login of the connection.
inline const std::string alice_is_the_last = R"(
    B: alice accepted
    S: OK 1 user=alice
    S: end
)";

/// Alice has said by LOGIN, under id 1, all that she has to say.
inline const std::string alice_by_login = R"(
    C: AUTH 1 LOGIN service=smtp
    S: CONT 1 {Username:}
    C: CONT 1 {alice}
    S: CONT 1 {Password:}
    C: CONT 1 {secret}
)";

/// Alice has sent her proof by SCRAM.
[[nodiscard]] std::string alice_by_scram(const std::string& id,
                                         const std::string& parameters = "service=smtp");

} // namespace postern
