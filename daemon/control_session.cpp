// SPDX-License-Identifier: BSD-2-Clause
//
// Whatever happens to a session is a step: bytes that came, room for bytes, a deadline, the end of a reload.
// A step does what there is to do, answers the requests that are there, and says what is waited for next. It
// only marks the end of the session: take_step() destroys it, when nothing of it is on the stack any more.
#include "daemon/control_session.hpp"

#include <array>
#include <span>
#include <utility>

namespace postern {

namespace {

/// One more than a line may have: that it is too long shows.
constexpr std::size_t line_bytes_max = control::request_bytes_max + 1;

} // namespace

ControlSession::ControlSession(const ControlServices& services, UniqueFd socket)
    : services_{services}, socket_{std::move(socket)}, timer_{services.loop, [this] { on_deadline(); }}
{
}

ControlSession::~ControlSession()
{
    forget_reload();
}

template <typename Step>
void ControlSession::take_step(Step step)
{
    try {
        step();
        answer_requests();
        if (state_ != State::ended)
            watch_->watch_for(awaited_events());
    } catch (const std::exception& error) {
        services_.log.error(std::string{"a control session was ended: "} + error.what());
        state_ = State::ended;
    }
    if (state_ == State::ended)
        services_.on_end(self_); // this is destroyed now
}

void ControlSession::begin(ControlSessionList::iterator self)
{
    self_ = self;
    take_step([this] {
        be_patient(patience);
        watch_.emplace(services_.loop, socket_.fd(), awaited_events(),
                       [this](std::uint32_t events) { on_ready(events); });
        read();
    });
}

void ControlSession::on_ready(std::uint32_t events)
{
    take_step([this, events] {
        switch (state_) {
        case State::reading: return read();
        case State::replying: return flush();
        case State::draining: return drain();
        case State::reloading:
            if ((events & (EPOLLHUP | EPOLLERR)) != 0)
                state_ = State::ended;
            return;
        case State::ended: return;
        }
    });
}

void ControlSession::on_deadline()
{
    take_step([this] {
        if (state_ != State::reloading) {
            state_ = State::ended;
            return;
        }
        forget_reload();
        answer(control::write_problem("nobody knows what has become of the reload: it has not ended within " +
                                      std::to_string(reload_patience.count()) + " s"));
    });
}

void ControlSession::on_reload_end(std::string_view problem)
{
    take_step([this, problem] {
        reload_.reset();
        answer(problem.empty() ? control::write_done() : control::write_problem(problem));
    });
}

void ControlSession::read()
{
    std::array<char, line_bytes_max> buffer{};
    const auto room = std::span{buffer}.first(buffer.size() - received_.size());
    const PeerSocket::Incoming incoming = socket_.receive(room);
    received_.append(buffer.data(), incoming.size);
    if (incoming.state == PeerSocket::Received::end)
        state_ = State::ended;
}

/// Closing with unread bytes would break the pipe of a peer that still writes, who might not look at its
/// answer then.
void ControlSession::drain()
{
    std::array<char, line_bytes_max> buffer{};
    if (socket_.receive(buffer).state == PeerSocket::Received::end)
        state_ = State::ended;
}

/// A line that is not whole goes on when it is as long as none may be: to be told so.
void ControlSession::answer_requests()
{
    while (state_ == State::reading) {
        const std::size_t newline = received_.find('\n');
        if (newline == std::string::npos && received_.size() < line_bytes_max)
            return;
        const std::string line = received_.substr(0, newline == std::string::npos ? newline : newline + 1);
        received_.erase(0, line.size());
        answer_request(line);
    }
}

void ControlSession::answer_request(std::string_view line)
{
    is_last_answer_ = line.size() > control::request_bytes_max;
    const auto request = control::parse_request(line);
    if (const auto* const understood = std::get_if<control::Request>(&request))
        obey(*understood);
    else
        answer(control::write_problem(std::get<std::string>(request)));
}

void ControlSession::obey(const control::Request& request)
{
    switch (request.command) {
    case control::Command::status: return answer(control::write_status(services_.host.status()));
    case control::Command::reload: return reload();
    case control::Command::finish: return finish();
    case control::Command::flush: return answer(control::write_flushed(services_.host.flush(request.whose)));
    }
}

void ControlSession::reload()
{
    const auto begun = services_.host.reload([this](std::string_view problem) { on_reload_end(problem); });
    if (const auto* const problem = std::get_if<std::string>(&begun))
        return answer(control::write_problem(*problem));
    reload_ = std::get<ControlHost::ReloadId>(begun);
    state_ = State::reloading;
    be_patient(reload_patience);
}

/// The answer comes first: at the end of the front nobody flushes anything.
void ControlSession::finish()
{
    has_finished_ = true;
    answer(control::write_done());
    services_.host.finish();
}

void ControlSession::forget_reload() noexcept
{
    if (reload_)
        services_.host.forget_reload(*std::exchange(reload_, std::nullopt));
}

void ControlSession::answer(std::string line)
{
    unsent_ = std::move(line);
    state_ = State::replying;
    flush();
}

void ControlSession::flush()
{
    const auto sent = socket_.send_part(unsent_);
    if (!sent) {
        state_ = State::ended;
        return;
    }
    unsent_.erase(0, *sent);
    if (*sent > 0)
        be_patient(patience);
    if (unsent_.empty())
        end_answer();
}

void ControlSession::end_answer()
{
    state_ = is_last_answer_ ? State::draining : State::reading;
    if (is_last_answer_)
        socket_.end_sending();
}

void ControlSession::be_patient(std::chrono::seconds how_long)
{
    timer_.schedule(has_finished_ ? TimePoint::max() : services_.loop.clock().now() + how_long);
}

std::uint32_t ControlSession::awaited_events() const noexcept
{
    switch (state_) {
    case State::reading:
    case State::draining: return EPOLLIN;
    case State::replying: return EPOLLOUT;
    case State::reloading:
    case State::ended: break;
    }
    return 0; // and that the peer has left, which is told unasked
}

} // namespace postern
