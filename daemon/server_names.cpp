// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/server_names.hpp"

#include "backends/servers.hpp"
#include "base/lower_case.hpp"
#include "daemon/config_values.hpp"

#include <algorithm>
#include <charconv>

namespace postern {

namespace {

constexpr std::string_view digits = "0123456789";

bool is_alphanumeric(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Of a name or an address; the `%` is in front of an interface.
bool is_in_host(char c) noexcept
{
    return is_alphanumeric(c) || std::string_view{"._-:%"}.find(c) != std::string_view::npos;
}

bool is_in_service(char c) noexcept
{
    return is_alphanumeric(c) || std::string_view{"._-+"}.find(c) != std::string_view::npos;
}

bool is_port_number(std::string_view text) noexcept
{
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && number >= 1 && number <= 65'535;
}

/// Schemes are compared in any case, as libldap does.
std::string_view scheme_of(const std::string& uri, std::span<const std::string_view> schemes)
{
    const auto found = std::ranges::find_if(schemes, [&uri](std::string_view scheme) {
        return uri.size() >= scheme.size() + 3 &&
               std::ranges::equal(uri.substr(0, scheme.size()), scheme, {}, lower) &&
               uri.substr(scheme.size(), 3) == "://";
    });
    return found == schemes.end() ? std::string_view{} : *found;
}

std::string uri_forms(std::span<const std::string_view> schemes)
{
    std::vector<std::string> forms;
    for (const std::string_view scheme : schemes)
        forms.push_back(std::string{scheme} + "://...");
    return alternatives(std::vector<std::string_view>{forms.begin(), forms.end()});
}

/// HOST, [ADDRESS] or [HOST], and a port behind a colon; or nothing at all. Some of what else there is
/// libldap takes for nothing, and asks localhost. A path behind it, a DN, libldap ignores.
struct Authority {
    std::string_view host;
    std::optional<std::string_view> port{};
};

/// An address with colons has brackets, so the host ends at the first colon behind them.
Authority split_authority(std::string_view text) noexcept
{
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    const std::size_t colon = bracket == std::string_view::npos ? bracket : text.find(':', bracket);
    if (colon == std::string_view::npos)
        return {text};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

/// With the bytes for which a % and two digits stand (RFC 3986); nothing where a % has no such digits.
std::optional<std::string> unescaped(std::string_view text)
{
    std::string bytes;
    while (!text.empty()) {
        unsigned byte = static_cast<unsigned char>(text.front());
        const std::size_t taken = text.front() == '%' ? 3 : 1;
        const char* const end = text.data() + std::min(taken, text.size());
        if (taken == 3 && (text.size() < 3 || std::from_chars(text.data() + 1, end, byte, 16).ptr != end))
            return std::nullopt;
        bytes += static_cast<char>(byte);
        text.remove_prefix(taken);
    }
    return bytes;
}

bool is_host_of_uri(std::string_view host)
{
    if (host.empty())
        return true;
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    const auto name = unescaped(host);
    return name && name->find_first_of("/[") == std::string::npos && split_host(*name);
}

void check_uri(const std::string& uri, std::span<const std::string_view> schemes)
{
    const std::string_view scheme = scheme_of(uri, schemes);
    const std::size_t begin = scheme.empty() ? 0 : scheme.size() + 3;
    if (scheme.empty())
        throw ConfigError{shown(uri) + ": " + uri_forms(schemes) + " was expected"};
    if (scheme != "ldap" && scheme != "ldaps") // the others have a file where these have a host
        return;
    const std::size_t slash = std::min(uri.find('/', begin), uri.size());
    const Authority authority = split_authority(std::string_view{uri}.substr(begin, slash - begin));
    if (!is_host_of_uri(authority.host))
        throw ConfigError{shown(uri) + ": " + std::string{scheme} + "://HOST or " + std::string{scheme} +
                          "://HOST:PORT was expected"};
    if (authority.port && !is_port_number(*authority.port))
        throw ConfigError{shown(uri) + ": a port from 1 to 65535 was expected behind the host"};
}

void check_host(const std::string& name)
{
    if (!split_host(name))
        throw ConfigError{shown(name) + ": HOST or HOST/PORT was expected"};
}

} // namespace

bool is_port(std::string_view text) noexcept
{
    if (text.find_first_not_of(digits) == std::string_view::npos)
        return is_port_number(text);
    return text.size() <= server_name_bytes_max && std::ranges::all_of(text, is_in_service);
}

std::optional<HostAndPort> split_host(std::string_view text)
{
    const std::size_t slash = text.find('/');
    std::string_view host = text.substr(0, slash);
    const std::string_view port =
        slash == std::string_view::npos ? std::string_view{} : text.substr(slash + 1);
    if (host.size() > 2 && host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    const bool is_host =
        !host.empty() && host.size() <= server_name_bytes_max && std::ranges::all_of(host, is_in_host) &&
        std::ranges::count(host, ':') != 1; // a port behind a colon; an address has more of them
    if (!is_host || (slash != std::string_view::npos && !is_port(port)))
        return std::nullopt;
    return HostAndPort{std::string{host}, std::string{port}};
}

void check_port(const std::string& text)
{
    if (!is_port(text))
        throw ConfigError{said_of(text, "a port from 1 to 65535 or the name of a service was expected")};
}

void check_servers(const BackendOption& option, const std::string& value)
{
    if (value.find('@') != std::string::npos) // what stands in front of it may be a password
        throw ConfigError{"an @; servers without a user and a password in front of them were expected"};
    if (value.find('?') != std::string::npos) // and behind it, where a URI has extensions
        throw ConfigError{"a ?; servers without parameters behind them were expected"};
    const std::vector<std::string> names = split_servers(value);
    if (names.empty() || names.size() > servers_max)
        throw ConfigError{(names.empty() ? "an empty value; " : std::to_string(names.size()) + " servers; ") +
                          "from 1 to " + std::to_string(servers_max) + " were expected"};
    for (const std::string& name : names) {
        if (name.size() > server_name_bytes_max)
            throw ConfigError{"a server's name of " + std::to_string(name.size()) + " bytes; at most " +
                              std::to_string(server_name_bytes_max) + " were expected"};
        if (option.words.empty())
            check_host(name);
        else
            check_uri(name, option.words);
    }
}

} // namespace postern
