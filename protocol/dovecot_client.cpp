// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/dovecot_client.hpp"

#include "base/lower_case.hpp"

#include <algorithm>
#include <cassert>

namespace postern::dovecot {

namespace {

using Why = Unusable::Why;

/// A line for servers that read no longer ones.
LineWriter command_writer(std::span<char> memory) noexcept
{
    return LineWriter{memory.first(std::min(memory.size(), line_bytes_max))};
}

void write_text(LineWriter& line, std::string_view name, std::string_view value)
{
    if (!value.empty())
        line.escaped(name, value);
}

void write_port(LineWriter& line, std::string_view name, std::uint16_t port)
{
    if (port != 0)
        line.field(name, std::to_string(port));
}

void write_flag(LineWriter& line, std::string_view name, bool is_set)
{
    if (is_set)
        line.field(name);
}

Accepted take_accepted(std::uint32_t id, FieldReader& fields)
{
    Accepted accepted{id, {}, {}};
    while (const auto field = fields.next()) {
        const Parameter parameter{*field};
        if (parameter.name == "user")
            accepted.user = parameter.value;
        else if (parameter.name == "resp")
            accepted.response = parameter.value;
    }
    return accepted;
}

Refused take_refused(std::uint32_t id, FieldReader& fields)
{
    Refused refused{id, {}, {}, {}, false};
    while (const auto field = fields.next()) {
        const Parameter parameter{*field};
        if (parameter.name == "user")
            refused.user = parameter.value;
        else if (parameter.name == "reason")
            refused.reason = parameter.value;
        else if (parameter.name == "code")
            refused.code = parameter.value;
        refused.is_temporary |= *field == "temp" || *field == "code=temp_fail";
    }
    return refused;
}

} // namespace

std::string_view write_greeting(std::span<char> memory, std::uint32_t pid, std::uint32_t minor)
{
    assert(pid != 0);
    LineWriter lines{memory};
    lines.begin("VERSION").number(version_major).number(minor).end();
    return lines.begin("CPID").number(pid).end().written();
}

std::string_view write_auth(std::span<char> memory, std::uint32_t id, std::string_view mechanism,
                            const Parameters& parameters, std::optional<std::string_view> response)
{
    assert(id != 0 && !mechanism.empty() && !parameters.service.empty());
    LineWriter line = command_writer(memory);
    line.begin("AUTH").number(id).escaped("", mechanism).escaped("service=", parameters.service);
    write_flag(line, "secured", parameters.is_secured);
    write_text(line, "lip=", parameters.server_address);
    write_text(line, "rip=", parameters.client_address);
    write_port(line, "lport=", parameters.server_port);
    write_port(line, "rport=", parameters.client_port);
    write_text(line, "local_name=", parameters.local_name);
    write_text(line, "session=", parameters.session);
    write_flag(line, "no-penalty", parameters.has_no_penalty);
    write_flag(line, "final-resp-ok", parameters.takes_final_response);
    if (response)
        line.base64("resp=", *response); // the last one
    return line.end().written();
}

std::string_view write_response(std::span<char> memory, std::uint32_t id, std::string_view response)
{
    return command_writer(memory).begin("CONT").number(id).base64("", response).end().written();
}

std::string_view write_cancel(std::span<char> memory, std::uint32_t id)
{
    return command_writer(memory).begin("CANCEL").number(id).end().written();
}

std::string_view unusable_text(Why why) noexcept
{
    switch (why) {
    case Why::line_too_long: return "it sends a line of more than 16384 bytes";
    case Why::malformed: return "it sends a malformed line";
    case Why::version_missing:
        return "it does not begin with VERSION and two numbers: it speaks something else";
    case Why::version_unknown: return "its major version is not 1";
    case Why::no_mechanism:
        return "it offers no mechanism: it may be a socket for user lookups (auth-master)";
    case Why::too_many_mechanisms: return "it offers more than 64 mechanisms";
    }
    return "invalid";
}

ClientSide::Next ClientSide::next(std::span<char> arrived)
{
    Next next;
    while (!unusable_ && std::holds_alternative<NeedsMore>(next.line)) {
        const std::span<char> rest = arrived.subspan(next.taken);
        const auto line_bytes = line_finder_.find({rest.data(), rest.size()});
        if (!line_bytes && !line_finder_.is_too_long())
            return next;
        next.taken += line_bytes ? *line_bytes + 1 : 0;
        next.line = line_bytes ? take_line(rest.first(*line_bytes)) : Unusable{Why::line_too_long};
        if (const auto* const unusable = std::get_if<Unusable>(&next.line))
            unusable_ = *unusable;
    }
    if (unusable_)
        next.line = *unusable_;
    return next;
}

bool ClientSide::has_offered(std::string_view mechanism) const noexcept
{
    return std::ranges::any_of(
        offers_, [mechanism](const Offer& offer) { return is_same_word(offer.name, mechanism); });
}

ServerLine ClientSide::take_line(std::span<char> line)
{
    FieldReader fields{line};
    const std::string_view word = fields.next().value_or("");
    ServerLine result;
    if (state_ == State::version)
        result = word == "VERSION" ? take_version(fields) : Unusable{Why::version_missing};
    else if (state_ == State::replies)
        result = take_reply(word, fields);
    else
        result = take_handshake(word, fields);
    return fields.is_malformed() ? ServerLine{Unusable{Why::malformed}} : result;
}

ServerLine ClientSide::take_version(FieldReader& fields)
{
    const auto major = fields.next_number();
    const auto minor = fields.next_number();
    if (!major || !minor)
        return Unusable{Why::version_missing};
    if (*major != version_major)
        return Unusable{Why::version_unknown};
    state_ = State::handshake;
    return NeedsMore{};
}

/// For Postfix and Exim one offer has to come before SPID, so it has to here; others may come behind it.
ServerLine ClientSide::take_handshake(std::string_view word, FieldReader& fields)
{
    if (word == "MECH")
        return take_offer(fields);
    if (word != "SPID" && word != "DONE")
        return NeedsMore{};
    if (offers_.empty())
        return Unusable{Why::no_mechanism};
    if (word == "SPID")
        return NeedsMore{};
    state_ = State::replies;
    return Greeted{};
}

ServerLine ClientSide::take_offer(FieldReader& fields)
{
    if (offers_.size() == offers_max)
        return Unusable{Why::too_many_mechanisms};
    Offer offer{std::string{fields.next().value_or("")}, {}};
    if (offer.name.empty())
        return Unusable{Why::malformed};
    while (const auto flag = fields.next())
        offer.flags.emplace_back(*flag);
    offers_.push_back(std::move(offer));
    return NeedsMore{};
}

ServerLine ClientSide::take_reply(std::string_view word, FieldReader& fields)
{
    if (word != "OK" && word != "FAIL" && word != "CONT")
        return NeedsMore{};
    const auto id = fields.next_number();
    if (!id)
        return Unusable{Why::malformed};
    if (word == "OK")
        return take_accepted(*id, fields);
    if (word == "FAIL")
        return take_refused(*id, fields);
    const auto challenge = fields.next();
    if (!challenge)
        return Unusable{Why::malformed};
    return Challenge{*id, *challenge};
}

} // namespace postern::dovecot
