// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <cstddef>
#include <string_view>

namespace postern {

/// The longest password that is taken from a terminal or a pipe.
inline constexpr std::size_t password_line_bytes_max = 1024;

/// Gets a password from whoever runs the program: from the terminal, where it is not shown, when standard
/// input is one; else one line of standard input. Throws std::runtime_error when there is none, or it is too
/// long. `secrets` must have slots of more than password_line_bytes_max.
[[nodiscard]] Secret read_password(SecretArena& secrets, std::string_view prompt);

/// The same for a new password: a terminal is asked twice, and both must agree.
[[nodiscard]] Secret read_new_password(SecretArena& secrets, std::string_view prompt);

/// Shows `prompt` and reads a line that is not shown. However it ends, by a signal too, the terminal is
/// afterwards as it was.
[[nodiscard]] Secret ask_on_terminal(int terminal, SecretArena& secrets, std::string_view prompt);

/// The first line, without its newline; an end without one will do.
[[nodiscard]] Secret read_line(int fd, SecretArena& secrets);

} // namespace postern
