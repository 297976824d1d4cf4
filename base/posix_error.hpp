// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace postern {

/// The world failed: throws std::system_error with errno's text behind `what`.
[[noreturn]] inline void throw_errno(const std::string& what)
{
    throw std::system_error{errno, std::system_category(), what};
}

/// The result of a system call that must not fail; throws std::system_error when it did.
template <typename Result>
Result check(Result result, const char* what)
{
    if (result < 0)
        throw_errno(what);
    return result;
}

/// The text of an errno value, safe to call everywhere (no shared buffer).
[[nodiscard]] inline std::string error_text(int error)
{
    return std::system_category().message(error);
}

} // namespace postern
