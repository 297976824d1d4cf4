// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/ldap_wire.hpp"
#include "tests/support/reply_server.hpp"

#include <functional>
#include <string>

namespace postern {

/// A directory that says what no real one can be made to say. A process of its own, with one more for each
/// connection; they end with the object.
class ScriptedDirectory {
public:
    /// A question: its number, its kind as in ldap_wire, and all its bytes.
    struct Question {
        char id;
        char kind;
        std::string bytes;

        [[nodiscard]] bool names(const std::string& text) const
        {
            return bytes.find(text) != std::string::npos;
        }
    };

    /// What is said to a question: bytes, or one of these.
    using Script = std::function<std::string(const Question&)>;

    static inline const std::string silence{"silence"};
    static inline const std::string hang_up{"hang up"};

    /// Is said again and again, for as long as somebody listens.
    [[nodiscard]] static std::string endlessly(const std::string& bytes) { return endless + bytes; }

    ScriptedDirectory(const std::string& path, const Script& script)
        : socket_{listen_at(path)}, pid_{check(::fork(), "fork")}
    {
        if (pid_ == 0)
            serve(script);
    }
    ScriptedDirectory(const ScriptedDirectory&) = delete;
    ScriptedDirectory& operator=(const ScriptedDirectory&) = delete;
    ~ScriptedDirectory()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    static inline const std::string endless{"endless"};

    [[noreturn]] void serve(const Script& script) const
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::signal(SIGCHLD, SIG_IGN);
        for (;;) {
            const UniqueFd connection{::accept(socket_.get(), nullptr, nullptr)};
            if (::fork() == 0) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                converse(connection.get(), script);
                ::_exit(0);
            }
        }
    }

    static void converse(int fd, const Script& script)
    {
        std::string heard;
        std::array<char, 32768> piece{};
        for (ssize_t size = 0; (size = ::recv(fd, piece.data(), piece.size(), 0)) > 0;) {
            heard.append(piece.data(), static_cast<std::size_t>(size));
            while (const auto question = take_question(heard))
                if (!say(fd, script(*question)))
                    return;
        }
    }

    /// libldap's lengths are one byte, or more that it counts.
    static std::optional<Question> take_question(std::string& heard)
    {
        const auto byte = [&heard](std::size_t at) {
            return at < heard.size() ? std::size_t{static_cast<unsigned char>(heard[at])} : 0;
        };
        const std::size_t header = byte(1) < 0x80 ? 2 : 2 + (byte(1) & 0x7fU);
        std::size_t size = byte(1) < 0x80 ? byte(1) : 0;
        for (std::size_t at = 2; at < header; ++at)
            size = size * 256 + byte(at);
        if (heard.size() < header + size || heard.size() < header + 4)
            return {};
        const Question question{heard[header + 2], heard[header + 3], heard.substr(header, size)};
        heard.erase(0, header + size);
        return question;
    }

    static bool say(int fd, const std::string& said)
    {
        const bool is_endless = said.starts_with(endless);
        const std::string bytes = is_endless ? said.substr(endless.size()) : said;
        if (said == hang_up || said == silence)
            return said == silence;
        do
            for (std::size_t sent = 0; sent < bytes.size();) {
                const ssize_t more = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
                if (more <= 0)
                    return false;
                sent += static_cast<std::size_t>(more);
            }
        while (is_endless);
        return true;
    }

    UniqueFd socket_;
    pid_t pid_;
};

} // namespace postern
