// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"

namespace postern {

/// What foreign libraries say to syslog(3): PAM modules, libpam itself.
///
/// syslog(3) waits for ever behind a syslog daemon that stands still. So this program exports syslog() and
/// its kin itself: a library finds a function in the program before it finds it in libc. What is said goes to
/// `log` as Log::write_foreign() for as long as this object lives, and nowhere before and after. There is one
/// at a time; foreign threads may speak whenever they like.
///
/// Knows no password: what must not be written is withheld by `log`, as far as it can know (worker.cpp).
///
/// Does not reach programs that a library starts: they have a libc of their own.
class SyslogCapture {
public:
    explicit SyslogCapture(Log& log) noexcept;
    SyslogCapture(const SyslogCapture&) = delete;
    SyslogCapture& operator=(const SyslogCapture&) = delete;
    ~SyslogCapture();
};

} // namespace postern
