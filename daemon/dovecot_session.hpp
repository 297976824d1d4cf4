// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/peer_socket.hpp"
#include "base/secret.hpp"
#include "daemon/authenticator.hpp"
#include "daemon/config.hpp"
#include "daemon/dovecot_logins.hpp"
#include "daemon/session.hpp"
#include "protocol/dovecot_auth.hpp"
#include "protocol/sasl_exchange.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postern {

/// One accepted connection that speaks the Dovecot authentication protocol: says what is offered, and then
/// serves one login after the other, or many at a time, for as long as its peer stays.
///
/// A peer may be silent for as long as it likes, but what it has begun to say, the handshake or a line, must
/// be complete within the listener's deadline.
///
/// What it may have in work, and what may wait, has a bound.
class DovecotSession final : public Session {
public:
    /// Of one connection that the Authenticator has at a time. Beyond it nothing more is read until one is
    /// told.
    static constexpr std::size_t in_work_max = 32;

    /// `connection` is its number, and no other's of this process.
    DovecotSession(const SessionServices& services, const ListenerConfig& listener, UniqueFd socket,
                   std::uint32_t connection);

    void begin(SessionList::iterator self) override;
    [[nodiscard]] bool is_idle() const noexcept override { return logins_.in_work() == 0; }
    void finish() override;
    void hurry(TimePoint when) override;

private:
    using Logins = DovecotLogins;

    void serve();
    [[nodiscard]] bool hears() const noexcept;
    void read();
    void take(std::span<char> arrived, bool is_own);
    void keep(std::span<char> rest, bool is_own);
    void keep_in_slot(std::string_view rest);
    void time_line(bool has_moved_on, bool has_begun_line);
    void obey(const dovecot::Auth& auth);
    void obey(const dovecot::Cont& cont);
    void obey(const dovecot::Cancel& cancel);
    void obey(const dovecot::Broken& broken);
    [[nodiscard]] bool refuses(const dovecot::Auth& auth, std::optional<sasl::Mechanism> mechanism);
    [[nodiscard]] bool offers(sasl::Mechanism mechanism) const;
    Logins::iterator open(const dovecot::Auth& auth, sasl::Mechanism mechanism);
    [[nodiscard]] std::string nonce() const;

    template <typename Take>
    void hear(Logins::iterator login, std::optional<std::string_view> base64, const Take& take);
    void act(Logins::iterator login, sasl::Step step);
    void act(Logins::iterator login, sasl::SendChallenge& challenge);
    void act(Logins::iterator login, sasl::CheckPassword& check);
    void act(Logins::iterator login, sasl::AskChallenge& ask);
    void act(Logins::iterator login, sasl::CheckProof& check);
    void act(Logins::iterator login, sasl::Succeed& success);
    void act(Logins::iterator login, sasl::Fail& failure);
    void act(Logins::iterator login, const Outcome& outcome);
    void refuse_base64(Logins::iterator login);
    void refuse(Logins::iterator login, std::string user, std::string_view why, dovecot::Failure::Code code);

    [[nodiscard]] std::optional<NormalisedRequest> name(Logins::iterator login, std::string user,
                                                        Secret secret);
    [[nodiscard]] Request request_of(const DovecotLogin& login, std::string user, Secret secret) const;
    [[nodiscard]] LoginTerms terms() const;
    [[nodiscard]] Logins::Serial begin_work(Logins::iterator login);
    [[nodiscard]] Logins::iterator end_work(Logins::Serial serial);
    void on_challenge(Logins::Serial serial, Challenge challenge);
    void on_outcome(Logins::Serial serial, const Outcome& outcome);
    template <typename Act>
    void resume_after_work(const Act& act);
    template <typename Act>
    void resume_with(const Act& act);
    void tell_unavailable(Logins::iterator login);
    void fail(Logins::iterator login, const dovecot::Failure& failure);

    void tell_failure(std::uint32_t id, const dovecot::Failure& failure);
    void tell(std::string_view line);
    void rest();
    [[nodiscard]] bool has_settled() const noexcept;
    void take_leave_if_last(Logins::iterator login);
    void hang_up();
    void hear_last_words();
    void hear_no_more();
    void give_up_line();
    void schedule_timer();
    void on_timer();

    const SessionServices& services_;
    std::uint32_t connection_;
    PeerSocket socket_;
    SessionList::iterator self_;
    dovecot::ServerSide conversation_;
    Secret received_; ///< an incomplete line, or what is not looked at yet
    std::optional<FdWatch> watch_;
    Timer timer_;
    Logins logins_;
    TimePoint settles_until_{};
    TimePoint waits_until_ = TimePoint::max(); ///< for its peer
    TimePoint line_due_ = TimePoint::max();    ///< to be complete: the handshake, or a line that has begun
    bool is_finishing_ = false;                ///< another front is there for what comes
    bool is_at_end_ = false;                   ///< the peer says no more, but may listen
    bool is_lost_ = false;                     ///< the peer is gone, or is to go
};

} // namespace postern
