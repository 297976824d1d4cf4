// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_debug_lines.hpp"

#include <lber.h>
#include <ldap.h>

#include <string_view>

namespace postern {

namespace {

/// libldap knows one function for the whole process and gives it nothing to find its way by.
Log* debug_log = nullptr;

void write_debug_line(const char* text)
{
    std::string_view line{text};
    while (line.ends_with('\n'))
        line.remove_suffix(1);
    if (!line.empty() && debug_log != nullptr)
        debug_log->write_foreign(LogOrigin::foreign_to_auth, LogLevel::debug, line);
}

} // namespace

/// Dumps of what is sent are left out: they would show a password in pieces, in which nobody can find it.
void debug_libldap(std::uint32_t level, Log& log)
{
    constexpr std::uint32_t dumps = 0x02 | 0x10; // packets and BER, which no header of libldap names
    const int shown = static_cast<int>(level & ~dumps);
    debug_log = &log;
    ::ber_set_option(nullptr, LBER_OPT_LOG_PRINT_FN, reinterpret_cast<const void*>(write_debug_line));
    ::ldap_set_option(nullptr, LDAP_OPT_DEBUG_LEVEL, &shown);
}

} // namespace postern
