// SPDX-License-Identifier: BSD-2-Clause
#include "backends/option_values.hpp"

#include <charconv>

namespace postern {

namespace {

[[noreturn]] void throw_senseless(std::string_view key)
{
    throw BackendError{"the option " + std::string{key} + " makes no sense"};
}

} // namespace

const std::string& option_text(const BackendOptions& options, std::string_view key)
{
    const auto found = options.find(key);
    if (found == options.end())
        throw_senseless(key);
    return found->second;
}

bool option_is_yes(const BackendOptions& options, std::string_view key)
{
    return option_text(options, key) == "yes";
}

std::uint32_t option_number(const BackendOptions& options, std::string_view key)
{
    const std::string& text = option_text(options, key);
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
        throw_senseless(key);
    return number;
}

std::chrono::milliseconds option_duration(const BackendOptions& options, std::string_view key)
{
    using namespace std::chrono_literals;
    const std::string& text = option_text(options, key);
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    if (error != std::errc{} || (!unit.empty() && unit != "ms" && unit != "s" && unit != "m"))
        throw_senseless(key);
    return (unit == "ms" ? 1ms : unit == "m" ? 60'000ms : 1'000ms) * number;
}

} // namespace postern
