// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/peer_socket.hpp"
#include "protocol/control_messages.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

class ControlSession;
using ControlSessionList = std::list<ControlSession>;

/// What a control session can do to the daemon. The front implements it.
///
/// None of these may destroy a session within the call.
class ControlHost {
public:
    using ReloadId = std::uint32_t;
    using OnReloadEnd = std::function<void(std::string_view problem)>; ///< empty: the new one is in force

    virtual ~ControlHost() = default;

    [[nodiscard]] virtual StatusReport status() const = 0;

    /// Has the configuration read again, or says why that cannot be. `on_end` is called once and never within
    /// this call, if at all: not when the front ends before, nor after forget_reload().
    [[nodiscard]] virtual std::variant<ReloadId, std::string> reload(OnReloadEnd on_end) = 0;

    /// Nobody waits for its end any more; the reload itself goes on. One that has ended is forgotten already.
    virtual void forget_reload(ReloadId reload) noexcept = 0;

    /// Accepts nobody new, serves who is here, ends.
    virtual void finish() = 0;

    /// Forgets these logins, if they are kept; how many there were.
    [[nodiscard]] virtual std::size_t flush(const control::Whose& whose) = 0;
};

/// What control sessions share: the front lends it to each.
struct ControlServices {
    EventLoop& loop;
    Log& log;
    ControlHost& host;
    std::function<void(ControlSessionList::iterator)> on_end; ///< destroys the session
};

/// One accepted connection on the control socket: reads requests, one line each, and answers them one after
/// the other; the next one is read when the answer to the last has left.
///
/// Its peer is root, but may hang as anybody's: nothing here waits for it, grows without bound on its
/// account, or lasts longer than its patience. The session may be destroyed at any time; a reload that it
/// waits for is then forgotten, so that nobody calls what is gone.
class ControlSession {
public:
    /// For the next request, and for the peer to take a part of an answer.
    static constexpr std::chrono::seconds patience{30};
    static constexpr std::chrono::seconds reload_patience{60};

    ControlSession(const ControlServices& services, UniqueFd socket);
    ControlSession(const ControlSession&) = delete;
    ControlSession& operator=(const ControlSession&) = delete;
    ~ControlSession();

    /// Takes what the peer has sent by now. May end the session, which stands at `self`, and so destroy it.
    void begin(ControlSessionList::iterator self);

private:
    enum class State : std::uint8_t {
        reading,
        reloading, ///< waits for the host
        replying,  ///< waits for the peer to take what is unsent
        draining,  ///< was told that no more is read
        ended,
    };

    template <typename Step>
    void take_step(Step step);
    void on_ready(std::uint32_t events);
    void on_deadline();
    void on_reload_end(std::string_view problem);

    void read();
    void drain();
    void answer_requests();
    void answer_request(std::string_view line);
    void obey(const control::Request& request);
    void reload();
    void finish();
    void forget_reload() noexcept;
    void answer(std::string line);
    void flush();
    void end_answer();
    void be_patient(std::chrono::seconds how_long);
    [[nodiscard]] std::uint32_t awaited_events() const noexcept;

    const ControlServices& services_;
    PeerSocket socket_;
    ControlSessionList::iterator self_;
    State state_ = State::reading;
    std::string received_;        ///< requests, the last one perhaps in part
    std::string unsent_;          ///< of the last answer
    bool is_last_answer_ = false; ///< nothing more is read behind it
    bool has_finished_ = false;   ///< the end of the front is that of the session
    std::optional<ControlHost::ReloadId> reload_;
    std::optional<FdWatch> watch_;
    Timer timer_;
};

} // namespace postern
