// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/saslauthd.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/nul_byte.hpp"

namespace postern::saslauthd {

namespace {

using namespace std::string_view_literals;

/// One of the four fields. NeedsMore and Refused end the parse; a string_view goes on.
std::variant<std::string_view, NeedsMore, Refused> parse_field(ByteReader& reader, FieldName name,
                                                               std::size_t field_bytes_max) noexcept
{
    ByteReader ahead = reader;
    const auto length = ahead.u16();
    if (length && *length > field_bytes_max)
        return Refused{Refused::Why::field_too_long, name};
    const auto text = reader.counted_string();
    if (!text)
        return NeedsMore{};
    if (has_nul(*text))
        return Refused{Refused::Why::field_with_nul, name};
    return *text;
}

void take_client_address(ByteReader& reader, Fields& fields, std::size_t field_bytes_max) noexcept
{
    ByteReader ahead = reader;
    const auto address = ahead.counted_string();
    if (address && address->size() <= field_bytes_max && !has_nul(*address)) {
        fields.client_address = *address;
        reader = ahead;
    }
    fields.has_bytes_behind = !reader.at_end();
}

std::string_view write_text(std::span<char> memory, std::string_view word, std::string_view text)
{
    std::string whole{word};
    if (!text.empty())
        whole.append(" ").append(text);
    return ByteWriter{memory}.counted_string(whole).written();
}

} // namespace

std::string_view field_name_text(FieldName name) noexcept
{
    switch (name) {
    case FieldName::login: return "login";
    case FieldName::password: return "password";
    case FieldName::service: return "service";
    case FieldName::realm: return "realm";
    }
    return "invalid";
}

Parsed parse_request(std::string_view bytes, std::size_t field_bytes_max) noexcept
{
    static constexpr std::array names{FieldName::login, FieldName::password, FieldName::service,
                                      FieldName::realm};
    Fields fields;
    const std::array places{&fields.login, &fields.password, &fields.service, &fields.realm};
    ByteReader reader{bytes};
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto field = parse_field(reader, names[i], field_bytes_max);
        if (std::holds_alternative<NeedsMore>(field))
            return NeedsMore{};
        if (const auto* refused = std::get_if<Refused>(&field))
            return *refused;
        *places[i] = std::get<std::string_view>(field);
    }
    take_client_address(reader, fields, field_bytes_max);
    if (fields.login.empty())
        return Refused{Refused::Why::empty_login, FieldName::login};
    if (fields.password.empty())
        return Refused{Refused::Why::empty_password, FieldName::password};
    return fields;
}

std::string_view write_reply(std::span<char> memory, Verdict verdict, WhenUnavailable when_unavailable,
                             const ReplyTexts& texts)
{
    switch (verdict) {
    case Verdict::accepted: return write_text(memory, "OK", texts.accepted);
    case Verdict::rejected:
    case Verdict::unknown_user:
    case Verdict::barred: return write_text(memory, "NO", texts.refused);
    case Verdict::unavailable: break;
    }
    return write_text(memory, when_unavailable == WhenUnavailable::say_no ? "NO" : "", "");
}

std::string_view reply(const Refused& refused) noexcept
{
    switch (refused.why) {
    case Refused::Why::empty_login: return "\0\x16NO NULL login received"sv;
    case Refused::Why::empty_password: return "\0\x19NO NULL password received"sv;
    case Refused::Why::field_too_long:
    case Refused::Why::field_with_nul: break;
    }
    return "\0\3NO "sv;
}

std::string_view write_request(std::span<char> memory, const Fields& fields)
{
    ByteWriter writer{memory};
    writer.counted_string(fields.login).counted_string(fields.password);
    writer.counted_string(fields.service).counted_string(fields.realm);
    if (!fields.client_address.empty())
        writer.counted_string(fields.client_address);
    return writer.written();
}

std::optional<std::string_view> parse_reply(std::string_view bytes) noexcept
{
    return ByteReader{bytes}.counted_string();
}

} // namespace postern::saslauthd
