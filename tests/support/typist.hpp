// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// Somebody at a terminal, with one program running in it.
class Typist {
public:
    Typist(const std::string& path, std::vector<std::string> arguments)
    {
        std::vector<char*> argv;
        for (std::string& argument : arguments)
            argv.push_back(argument.data());
        argv.push_back(nullptr);
        int terminal = -1;
        pid_ = check(::forkpty(&terminal, nullptr, nullptr, nullptr), "forkpty");
        if (pid_ == 0) {
            ::execv(path.c_str(), argv.data());
            ::_exit(127);
        }
        terminal_ = UniqueFd{terminal};
    }

    /// Reads until the screen ends in that text. False when the program ended before.
    bool sees(std::string_view text)
    {
        while (!screen_.ends_with(text))
            if (!look())
                return false;
        return true;
    }

    /// The same, wherever the text stands.
    bool has_seen(std::string_view text)
    {
        while (screen_.find(text) == std::string::npos)
            if (!look())
                return false;
        return true;
    }

    void types(std::string_view text) const
    {
        check(::write(terminal_.get(), text.data(), text.size()), "write");
    }

    [[nodiscard]] bool sees_own_typing() const
    {
        termios settings{};
        check(::tcgetattr(terminal_.get(), &settings), "tcgetattr");
        return (settings.c_lflag & ECHO) != 0;
    }

    /// Waits for the program's end. Its status; a signal counts 128 more than its number.
    int waits()
    {
        while (look())
            ;
        int status = 0;
        check(::waitpid(pid_, &status, 0), "waitpid");
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

    [[nodiscard]] const std::string& screen() const noexcept { return screen_; }

private:
    bool look()
    {
        std::array<char, 256> bytes{};
        const ssize_t got = ::read(terminal_.get(), bytes.data(), bytes.size());
        if (got > 0)
            screen_.append(bytes.data(), static_cast<std::size_t>(got));
        return got > 0;
    }

    pid_t pid_ = -1;
    UniqueFd terminal_;
    std::string screen_;
};

} // namespace postern
