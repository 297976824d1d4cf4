// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_socket.hpp"
#include "daemon/channel.hpp"
#include "daemon/command_line.hpp"
#include "daemon/config_file.hpp"
#include "daemon/front.hpp"
#include "daemon/run_directory.hpp"
#include "daemon/supervisor.hpp"
#include "daemon/worker.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace postern;

/// Roles are started by the supervisor, which puts their channel where it belongs. Somebody who types the
/// name of a role has no such channel.
bool is_channel(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

bool is_role(const std::vector<std::string>& arguments, const char* name)
{
    return arguments.size() > 1 && arguments[1] == name && is_channel(channel_fd);
}

int run(const std::vector<std::string>& arguments)
{
    if (is_role(arguments, "front"))
        return run_front(MessageSocket{UniqueFd{channel_fd}});
    if (is_role(arguments, "worker")) {
        MessageSocket channel{UniqueFd{channel_fd}};
        std::exit(run_worker(channel)); // with the channel open: when it closes, the process has ended
    }
    const CommandLine command_line = parse_command_line(arguments);
    if (const auto* text = std::get_if<CommandLineText>(&command_line)) {
        std::cerr << text->text;
        return EXIT_SUCCESS;
    }
    return run_supervisor([&arguments] { return std::get<Config>(parse_command_line(arguments)); });
}

/// saslauthd's: start scripts know the difference.
constexpr int exit_already_running = 2;

} // namespace

int main(int argc, char** argv)
try {
    return run({argv, argv + argc});

} catch (const AlreadyRunning& error) {
    const std::string begin = "saslauthd[" + std::to_string(::getpid()) + "] :";
    std::cerr << begin << "Cannot start saslauthd\n" << begin << error.what() << '\n';
    return exit_already_running;

} catch (const ConfigFileError& error) {
    std::cerr << error.what() << '\n'; // each line begins with its place in the file
    return EXIT_FAILURE;

} catch (const std::exception& error) {

    std::cerr << argv[0] << ": " << error.what() << '\n';
    return EXIT_FAILURE;
}
