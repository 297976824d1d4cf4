// SPDX-License-Identifier: BSD-2-Clause
//
// What a peer may say, in this order: VERSION, CPID, and then AUTH, CONT and CANCEL, as many as it likes
// and without waiting for a reply. What breaks that order, or a line's form, ends the connection, because
// after it the two sides no longer mean the same by an id. A mechanism that nobody offered, a response that
// is no base64, a CONT for a request that is gone: these are one login's trouble, and its session fails that
// login.
//
// Nothing is copied. The caller's buffer holds passwords, so a line is split and unescaped where it stands,
// and a search for its end goes on where the last one stopped: a peer that sends byte by byte costs no more
// than one that does not.
//
// An empty resp= has two meanings. Peers of minor version 0 and 1 (Postfix, Exim) say it for "no initial
// response", later ones for "an empty one"; "=" is an empty one for all, as in SMTP (RFC 4954).
#include "protocol/dovecot_auth.hpp"

#include "protocol/sasl_mechanism.hpp"

#include <arpa/inet.h>
#include <sodium.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace postern::dovecot {

namespace {

using Why = Broken::Why;

/// An id is a number of 32 bits, and not zero.
std::optional<std::uint32_t> take_id(FieldReader& fields) noexcept
{
    const auto id = fields.next_number();
    return id.value_or(0) == 0 ? std::nullopt : id;
}

bool is_address(std::string_view text) noexcept
{
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size())
        return false;
    std::ranges::copy(text, terminated.begin());
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return ::inet_pton(AF_INET, terminated.data(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, terminated.data(), bytes.data()) == 1;
}

/// Empty when it is none, as if it had not been said.
std::string_view address(std::string_view text) noexcept
{
    return is_address(text) ? text : std::string_view{};
}

std::uint16_t port(std::string_view text) noexcept
{
    const std::uint32_t number = decimal(text).value_or(0);
    return number > UINT16_MAX ? std::uint16_t{0} : static_cast<std::uint16_t>(number);
}

/// One that nobody knows is ignored.
void take_parameter(Parameters& parameters, const Parameter& parameter) noexcept
{
    const auto& [name, value] = parameter;
    if (name == "service" || name == "protocol")
        parameters.service = value;
    else if (name == "rip")
        parameters.client_address = address(value);
    else if (name == "lip")
        parameters.server_address = address(value);
    else if (name == "rport")
        parameters.client_port = port(value);
    else if (name == "lport")
        parameters.server_port = port(value);
    else if (name == "local_name")
        parameters.local_name = value;
    else if (name == "session")
        parameters.session = value;
    else if (name == "secured")
        parameters.is_secured = true;
    else if (name == "no-penalty")
        parameters.has_no_penalty = true;
    else if (name == "final-resp-ok")
        parameters.takes_final_response = true;
}

bool is_control(char byte) noexcept
{
    const auto number = static_cast<unsigned char>(byte);
    return number < 0x20 || number == 0x7f;
}

/// A line for peers that read no longer ones.
LineWriter reply_writer(std::span<char> memory) noexcept
{
    return LineWriter{memory.first(std::min(memory.size(), reply_bytes_max))};
}

/// Older peers know a code by a word of its own.
void write_code(LineWriter& line, Failure::Code code)
{
    switch (code) {
    case Failure::Code::none: break;
    case Failure::Code::temp_fail: line.field("temp").field("code=temp_fail"); break;
    case Failure::Code::authz_fail: line.field("authz").field("code=authz_fail"); break;
    case Failure::Code::invalid_base64: line.field("code=invalid_base64"); break;
    }
}

} // namespace

std::string_view broken_text(Broken::Why why) noexcept
{
    switch (why) {
    case Why::line_too_long: return "a line has more than 16384 bytes";
    case Why::malformed: return "a line is malformed";
    case Why::version_expected: return "the first line is not VERSION with two numbers";
    case Why::version_unknown: return "the peer's major version is not 1";
    case Why::cpid_expected: return "the second line is not CPID with a process id";
    case Why::unknown_command: return "a command is unknown";
    case Why::bad_id: return "an id is not a number from 1 to 4294967295";
    case Why::duplicate_id: return "an id is in use already";
    case Why::no_service: return "AUTH names no service";
    case Why::fields_behind_response: return "something stands behind the response of AUTH";
    }
    return "invalid";
}

ServerSide::ServerSide(std::function<bool(std::uint32_t)> is_live) : is_live_{std::move(is_live)} {}

ServerSide::Next ServerSide::next(std::span<char> arrived)
{
    Next next;
    while (!broken_ && std::holds_alternative<NeedsMore>(next.command)) {
        const std::span<char> rest = arrived.subspan(next.taken);
        const auto line_bytes = line_finder_.find({rest.data(), rest.size()});
        if (!line_bytes && !line_finder_.is_too_long())
            return next;
        next.taken += line_bytes ? *line_bytes + 1 : 0;
        next.command = line_bytes ? take_line(rest.first(*line_bytes)) : Broken{Why::line_too_long};
        if (const auto* const broken = std::get_if<Broken>(&next.command))
            broken_ = *broken;
    }
    if (broken_)
        next.command = *broken_;
    return next;
}

Command ServerSide::take_line(std::span<char> line)
{
    FieldReader fields{line};
    const std::string_view word = fields.next().value_or("");
    Command command = Broken{Why::unknown_command};
    if (state_ == State::version)
        command = word == "VERSION" ? take_version(fields) : Broken{Why::version_expected};
    else if (state_ == State::cpid)
        command = word == "CPID" ? take_cpid(fields) : Broken{Why::cpid_expected};
    else if (word == "AUTH")
        command = take_auth(fields);
    else if (word == "CONT")
        command = take_cont(fields);
    else if (word == "CANCEL")
        command = take_cancel(fields);
    return fields.is_malformed() ? Command{Broken{Why::malformed}} : command;
}

Command ServerSide::take_version(FieldReader& fields)
{
    const auto major = fields.next_number();
    const auto minor = fields.next_number();
    if (!major || !minor || !fields.at_end())
        return Broken{Why::version_expected};
    if (*major != version_major)
        return Broken{Why::version_unknown};
    peer_minor_ = *minor;
    state_ = State::cpid;
    return NeedsMore{};
}

Command ServerSide::take_cpid(FieldReader& fields)
{
    peer_pid_ = fields.next_number().value_or(0);
    if (peer_pid_ == 0)
        return Broken{Why::cpid_expected};
    state_ = State::commands;
    return NeedsMore{};
}

Command ServerSide::take_auth(FieldReader& fields)
{
    const auto id = take_id(fields);
    if (!id)
        return Broken{Why::bad_id};
    if (is_live_(*id))
        return Broken{Why::duplicate_id};
    Auth auth{*id, fields.next().value_or(""), {}, {}};
    if (auth.mechanism.empty())
        return Broken{Why::malformed};
    while (const auto field = fields.next()) {
        const Parameter parameter{*field};
        if (auth.response)
            return Broken{Why::fields_behind_response};
        if (parameter.name == "resp")
            auth.response = parameter.value;
        else
            take_parameter(auth.parameters, parameter);
    }
    if (auth.parameters.service.empty())
        return Broken{Why::no_service};
    if (peer_minor_ < 2 && auth.response && auth.response->empty())
        auth.response.reset();
    return auth;
}

/// What follows the response is for versions that were not announced.
Command ServerSide::take_cont(FieldReader& fields)
{
    const auto id = take_id(fields);
    if (!id)
        return Broken{Why::bad_id};
    const auto response = fields.next();
    if (!response)
        return Broken{Why::malformed};
    return Cont{*id, *response};
}

Command ServerSide::take_cancel(FieldReader& fields)
{
    const auto id = take_id(fields);
    if (!id)
        return Broken{Why::bad_id};
    return Cancel{*id};
}

/// A mechanism has to stand before SPID: without one, peers believe they have reached Dovecot's socket for
/// user lookups. DONE has to stand alone for Exim.
std::string_view write_handshake(std::span<char> memory, const Handshake& handshake)
{
    if (handshake.mechanisms.empty())
        throw std::logic_error{"a handshake offers a mechanism"};
    LineWriter lines{memory};
    lines.begin("VERSION").number(version_major).number(version_minor).end();
    for (const std::string_view name : handshake.mechanisms) {
        const sasl::MechanismFacts* const mechanism = sasl::find_mechanism(name);
        if (mechanism == nullptr)
            throw std::logic_error{"a handshake offers only mechanisms that there are"};
        lines.begin("MECH").field(mechanism->name).field(mechanism->properties).end();
    }
    lines.begin("SPID").number(handshake.server_pid).end();
    lines.begin("CUID").number(handshake.connection).end();
    std::array<char, 2 * std::tuple_size_v<decltype(handshake.cookie)> + 1> cookie{};
    sodium_bin2hex(cookie.data(), cookie.size(), handshake.cookie.data(), handshake.cookie.size());
    lines.begin("COOKIE").field(cookie.data()).end();
    lines.begin("DONE").end();
    return lines.written();
}

bool can_be_named(std::string_view user) noexcept
{
    return !user.empty() && user.size() <= user_bytes_max && std::ranges::none_of(user, is_control);
}

std::string_view write_ok(std::span<char> memory, std::uint32_t id, std::string_view user,
                          std::optional<std::string_view> response)
{
    if (!can_be_named(user))
        throw std::logic_error{"an OK names a user who can be named"};
    LineWriter line = reply_writer(memory);
    line.begin("OK").number(id).field("user=", user);
    if (response)
        line.base64("resp=", *response);
    return line.end().written();
}

std::string_view write_fail(std::span<char> memory, std::uint32_t id, const Failure& failure)
{
    if (std::ranges::any_of(failure.reason, is_control))
        throw std::logic_error{"a reason has no control bytes"};
    LineWriter line = reply_writer(memory);
    line.begin("FAIL").number(id);
    if (can_be_named(failure.user))
        line.field("user=", failure.user);
    if (!failure.reason.empty())
        line.field("reason=", failure.reason);
    write_code(line, failure.code);
    return line.end().written();
}

std::string_view write_cont(std::span<char> memory, std::uint32_t id, std::string_view challenge)
{
    return reply_writer(memory).begin("CONT").number(id).base64("", challenge).end().written();
}

} // namespace postern::dovecot
