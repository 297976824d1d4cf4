// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/mech_option.hpp"

#include "base/lower_case.hpp"
#include "daemon/config_values.hpp"
#include "daemon/server_names.hpp"

#include <algorithm>
#include <array>

namespace postern {

namespace {

constexpr const char* host_key = "rimap_host";
constexpr const char* port_key = "rimap_port";

TypeList types_that_take(MechOption what, const TypeList& types)
{
    TypeList taking;
    for (const BackendType* const type : types)
        if (type->mech_option == what)
            taking.push_back(type);
    return taking;
}

std::string names_of(const TypeList& types)
{
    std::vector<std::string_view> names;
    for (const BackendType* const type : types)
        names.push_back(type->name);
    return alternatives(names);
}

/// The values of -O by what they are; empty: there is none.
struct MechOptionValues {
    std::string file;
    std::string host;
};

/// The last one counts; where both sorts are taken, the last one of each.
MechOptionValues sorted_values(const GivenFlags& given, const TypeList& types)
{
    std::vector<std::string> all = given.list("-O");
    const bool is_mixed = !types_that_take(MechOption::server, types).empty() &&
                          !types_that_take(MechOption::saslauthd_conf, types).empty();
    if (!is_mixed && !all.empty())
        all = {all.back()};
    MechOptionValues values;
    for (const std::string& value : all)
        (value.starts_with('/') ? values.file : values.host) = value;
    return values;
}

void refuse_twice_said(const GivenFlags& given, const std::string& value, const char* key)
{
    if (given.has(flag_name(key)))
        throw ConfigError{"-O " + shown(value) + " and --" + flag_name(key) +
                          " say the same; one of them was expected"};
}

void read_host(const GivenFlags& given, const std::string& value, BackendOptions& options)
{
    const auto server = split_host(value);
    if (!server)
        throw ConfigError{(value.find('@') == std::string::npos ? "-O " + shown(value) : "-O") +
                          ": HOST or HOST/PORT was expected"};
    refuse_twice_said(given, value, host_key);
    options.insert_or_assign(host_key, server->host);
    if (server->port.empty())
        return;
    refuse_twice_said(given, value, port_key);
    options.insert_or_assign(port_key, server->port);
}

void read_server(const GivenFlags& given, const TypeList& types, const MechOptionValues& values,
                 SaidOptions& said)
{
    const TypeList asking = types_that_take(MechOption::server, types);
    if (asking.empty())
        return;
    if (!values.host.empty())
        return read_host(given, values.host, said.options);
    const bool is_alone = types_that_take(MechOption::saslauthd_conf, types).empty();
    if (is_alone && !values.file.empty())
        throw ConfigError{"-O " + shown(values.file) + ": HOST or HOST/PORT was expected"};
    if (!given.has(flag_name(host_key)))
        throw ConfigError{"-a " + names_of(asking) +
                          " needs the server that it asks: -O HOST or -O HOST/PORT"};
}

/// Flags count more than the file.
bool flags_ask_for_tls(const GivenFlags& given)
{
    bool is_asked = false;
    given.with(flag_name("ldap_start_tls"), [&](const std::string& text) { is_asked |= text == "yes"; });
    given.with(flag_name("ldap_servers"), [&](const std::string& text) {
        is_asked |= in_lower_case(text).find("ldaps:") != std::string::npos;
    });
    return is_asked;
}

void read_conf(const GivenFlags& given, const TypeList& types, MechOptionValues values,
               const std::string& run_directory, SaidOptions& said)
{
    const TypeList reading = types_that_take(MechOption::saslauthd_conf, types);
    if (reading.empty())
        return;
    const bool is_alone = types_that_take(MechOption::server, types).empty();
    if (is_alone && !values.host.empty()) {
        values.file = run_directory + '/' + values.host;
        said.notes.push_back("-O " + shown(values.host) + " is taken for " + shown(values.file) +
                             ", as with saslauthd; an absolute path was expected");
    }
    if (values.file.empty() && !values.host.empty())
        said.notes.push_back("-O " + shown(values.host) +
                             " is taken for a host; -O FILE, the absolute path of a file, " +
                             "may stand beside it, and is " + default_saslauthd_conf + " without it");
    const bool is_chosen = !values.file.empty();
    SaidOptions conf = load_saslauthd_conf(is_chosen ? values.file : default_saslauthd_conf, is_chosen,
                                           reading, flags_ask_for_tls(given));
    said.options.merge(conf.options);
    said.notes.insert(said.notes.end(), conf.notes.begin(), conf.notes.end());
}

} // namespace

SaidOptions read_mech_options(const GivenFlags& given, const TypeList& types,
                              const std::string& run_directory)
{
    SaidOptions said;
    const MechOptionValues values = sorted_values(given, types);
    const bool is_taken = std::ranges::any_of(
        types, [](const BackendType* type) { return type->mech_option != MechOption::none; });
    if (given.has("-O") && !is_taken)
        said.notes.push_back("-O has no effect on " + names_of(types) + ", as with saslauthd");
    read_server(given, types, values, said);
    read_conf(given, types, values, run_directory, said);
    return said;
}

} // namespace postern
