// SPDX-License-Identifier: BSD-2-Clause
#include "base/spelling.hpp"
#include "base/version.hpp"
#include "tools/options.hpp"
#include "tools/subcommands.hpp"
#include "tools/testsaslauthd.hpp"

#include <sysexits.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace postern {

namespace {

void print_help(std::ostream& out)
{
    out << "usage: postern SUBCOMMAND [options]\n\nThe tool beside posternd, the authentication daemon.\n\n";
    for (const Subcommand& subcommand : subcommands())
        out << "  " << subcommand.name << std::string(10 - subcommand.name.size(), ' ') << subcommand.summary
            << '\n';
    out << "\nMore of each: postern SUBCOMMAND --help. The version: postern --version.\n";
}

const Subcommand& expect_subcommand(std::string_view name)
{
    if (const Subcommand* const found = find_subcommand(name); found != nullptr)
        return *found;
    std::vector<std::string> names;
    for (const Subcommand& subcommand : subcommands())
        names.emplace_back(subcommand.name);
    throw UsageError{"there is no subcommand '" + std::string{name} + "'" + did_you_mean(name, names)};
}

int help(Arguments arguments)
{
    if (!arguments.empty())
        return expect_subcommand(arguments.front()).help();
    print_help(std::cout);
    return EXIT_SUCCESS;
}

int run_postern(Arguments arguments)
{
    if (arguments.empty()) {
        print_help(std::cerr);
        return EX_USAGE;
    }
    const std::string_view first = arguments.front();
    if (first == "help" || first == "--help" || first == "-h")
        return help(arguments.subspan(1));
    if (first == "--version") {
        std::cout << "postern " << version << '\n';
        return EXIT_SUCCESS;
    }
    return expect_subcommand(first).run(arguments.subspan(1));
}

std::string_view called_as(Arguments all)
{
    const std::string_view path = all.empty() ? "" : all.front();
    return path.substr(path.rfind('/') + 1);
}

} // namespace

} // namespace postern

int main(int argc, char** argv)
try {
    const postern::Arguments all{argv, static_cast<std::size_t>(argc)};
    if (postern::called_as(all) == "testsaslauthd")
        return postern::run_testsaslauthd(argc, argv);
    return postern::run_postern(all.empty() ? all : all.subspan(1));

} catch (const postern::UsageError& error) {
    std::cerr << "postern: " << error.what() << '\n';
    return EX_USAGE;

} catch (const std::exception& error) {

    std::cerr << "postern: " << error.what() << '\n';
    return EXIT_FAILURE;
}
