// SPDX-License-Identifier: BSD-2-Clause
#include "tools/subcommands.hpp"

#include "tools/bench.hpp"
#include "tools/cache.hpp"
#include "tools/passwd.hpp"
#include "tools/reload.hpp"
#include "tools/status.hpp"
#include "tools/test.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace postern {

namespace {

constexpr std::array table{
    Subcommand{"test", "try a login over a socket of saslauthd's or of Dovecot's protocol", run_test},
    Subcommand{"passwd", "give a user of a sasldb a password, or take it away", run_passwd},
    Subcommand{"status", "show what the daemon is doing", run_status},
    Subcommand{"cache", "show how many logins the daemon remembers, or have it forget some", run_cache},
    Subcommand{"bench", "put a load on such a socket, and see how fast it is", run_bench},
    Subcommand{"reload", "have the daemon read its configuration again", run_reload},
};

} // namespace

int Subcommand::help() const
{
    std::string flag = "--help";
    std::array arguments{flag.data()};
    return run(arguments);
}

std::span<const Subcommand> subcommands() noexcept
{
    return table;
}

const Subcommand* find_subcommand(std::string_view name) noexcept
{
    const auto* const found = std::ranges::find(table, name, &Subcommand::name);
    return found == table.end() ? nullptr : found;
}

} // namespace postern
