// SPDX-License-Identifier: BSD-2-Clause
#include "backends/rimap_settings.hpp"

#include "backends/option_values.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace postern {

namespace {

ImapTls tls_from(const std::string& word)
{
    if (word == "starttls")
        return ImapTls::starttls;
    return word == "implicit" ? ImapTls::implicit : ImapTls::none;
}

/// The name of a service is looked up when it is needed; a number that is none would never be found.
bool can_be_port(const std::string& port)
{
    if (port.find_first_not_of("0123456789") != std::string::npos)
        return true;
    unsigned number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number);
    return number >= 1 && number <= 65535;
}

/// HOST, HOST/PORT, [ADDRESS], [ADDRESS]/PORT.
ImapServer parse_server(const std::string& name, const std::string& default_port)
{
    ImapServer server{name.substr(0, name.find('/')), default_port, name};
    if (server.host.size() < name.size())
        server.port = name.substr(server.host.size() + 1);
    if (server.host.starts_with('[') && server.host.ends_with(']'))
        server.host = server.host.substr(1, server.host.size() - 2);
    if (server.host.empty() || server.port.empty() || !can_be_port(server.port) ||
        std::ranges::count(server.host, ':') == 1) // a port behind a colon; an address has more of them
        throw BackendError{"rimap_host: '" + name + "': HOST or HOST/PORT was expected"};
    return server;
}

} // namespace

RimapSettings read_rimap_settings(const BackendOptions& options)
try {
    const ImapTls tls = tls_from(option_text(options, "rimap_tls"));
    std::optional<TlsTrust> trust;
    if (tls != ImapTls::none)
        trust.emplace(option_text(options, "rimap_ca_file"));
    return {{tls, std::move(trust), option_duration(options, "rimap_connect_timeout"),
             option_duration(options, "rimap_timeout")},
            option_duration(options, "rimap_renew"),
            option_duration(options, "rimap_keep_ready")};
} catch (const TlsError& error) {
    throw BackendError{std::string{"rimap_ca_file: "} + error.what()};
}

std::vector<ImapServer> read_imap_servers(const BackendOptions& options)
{
    std::string port = option_text(options, "rimap_port");
    if (port.empty())
        port = option_text(options, "rimap_tls") == "implicit" ? "imaps" : "imap";
    std::vector<ImapServer> servers;
    for (const std::string& name : split_servers(option_text(options, "rimap_host")))
        servers.push_back(parse_server(name, port));
    if (servers.empty())
        throw BackendError{"rimap_host names no server"};
    return servers;
}

} // namespace postern
