// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// What a program did: its exit status, and what it printed. A signal counts 128 more than its number.
struct ProgramRun {
    int status = -1;
    std::string output;
    std::string errors;

    bool operator==(const ProgramRun&) const = default;
};

namespace detail {

/// A file in memory, so that nobody has to read while others write.
inline UniqueFd file_of(std::string_view content)
{
    UniqueFd file{check(::memfd_create("test", MFD_CLOEXEC), "memfd_create")};
    check(::pwrite(file.get(), content.data(), content.size(), 0), "pwrite");
    return file;
}

inline std::string content_of(const UniqueFd& file)
{
    std::string content(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    check(::pread(file.get(), content.data(), content.size(), 0), "pread");
    return content;
}

} // namespace detail

/// Runs `work` in a child of this process with that standard input; its result is the exit status.
template <typename Work>
ProgramRun run_child(std::string_view input, Work work)
{
    const std::array files{detail::file_of(input), detail::file_of(""), detail::file_of("")};
    const pid_t child = check(::fork(), "fork");
    if (child == 0) {
        for (int fd = 0; fd < 3; ++fd)
            ::dup2(files[static_cast<std::size_t>(fd)].get(), fd);
        ::_exit(work());
    }
    int status = 0;
    check(::waitpid(child, &status, 0), "waitpid");
    const int outcome = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return {outcome, detail::content_of(files[1]), detail::content_of(files[2])};
}

/// Runs the program at `path`; `arguments` begin with the name that it is called by.
inline ProgramRun run_program(const std::string& path, std::vector<std::string> arguments,
                              std::string_view input = "")
{
    std::vector<char*> argv;
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    return run_child(input, [&] {
        ::execv(path.c_str(), argv.data());
        return 127;
    });
}

} // namespace postern
