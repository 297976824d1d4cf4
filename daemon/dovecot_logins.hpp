// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "daemon/authenticator.hpp"
#include "protocol/sasl_exchange.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace postern {

/// A login of a peer that speaks the Dovecot protocol, from its AUTH to its end.
struct DovecotLogin {
    std::uint32_t id = 0; ///< the peer's
    std::unique_ptr<sasl::Exchange> exchange;
    sasl::Mechanism mechanism{};
    std::string service{}, client_address{}, server_address{};
    bool is_secured = false;
    Challenge challenge{};
    std::string account{};   ///< once there is a name
    bool is_in_work = false; ///< the Authenticator has it
    bool is_told = false;    ///< its end: nothing more is said of it
    TimePoint expires{};     ///< while it waits for its client
};

/// The logins of one connection. Each waits for its client or is in work, never both.
///
/// What waits is forgotten after a while, since Postfix abandons logins without a word, and when there are
/// too many. What is in work stays until the Authenticator has said what became of it.
class DovecotLogins {
public:
    using Serial = std::uint64_t; ///< in the order of their beginning
    using Table = std::map<Serial, DovecotLogin>;
    using iterator = Table::iterator;

    explicit DovecotLogins(const Clock& clock) noexcept : clock_{clock} {}

    iterator open(DovecotLogin login);
    /// One whose end was not told.
    [[nodiscard]] iterator find(std::uint32_t id) noexcept;
    [[nodiscard]] iterator end() noexcept { return table_.end(); }
    void erase(iterator login) { table_.erase(login); }

    /// From now on, for its client. Another one may be forgotten.
    void wait(iterator login);

    /// The Authenticator has it, who names it by what is returned.
    Serial begin_work(iterator login);
    /// One that the Authenticator is done with; end() if its client has given it up meanwhile, and it is
    /// gone.
    iterator end_work(Serial serial);

    /// Nothing more is to be said of it. It is gone, or will be when it is not in work any more.
    void tell_end(iterator login);

    void forget_overdue();
    void forget_waiting();

    [[nodiscard]] std::size_t in_work() const noexcept { return in_work_; }

    [[nodiscard]] bool is_empty() const noexcept { return table_.empty(); }

    [[nodiscard]] bool has_begun_one() const noexcept { return next_serial_ > 1; }

    /// Whether somebody still waits for the end of one that is in work.
    [[nodiscard]] bool has_one_to_tell() const noexcept;

    /// Whether one, beside that, cannot end without another word of its client. `beside` may be end().
    [[nodiscard]] bool needs_words(iterator beside) const noexcept;

    /// When forget_overdue() has something to do; TimePoint::max() if nothing waits.
    [[nodiscard]] TimePoint next_expiry() const noexcept;

private:
    void make_room(iterator newcomer);

    const Clock& clock_;
    Table table_;
    Serial next_serial_ = 1;
    std::size_t in_work_ = 0;
};

} // namespace postern
