// SPDX-License-Identifier: BSD-2-Clause

// A request says one thing, however its bytes arrive and whatever they are.
#include "protocol/saslauthd.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <initializer_list>
#include <string>
#include <vector>

using namespace postern;
using namespace postern::saslauthd;

namespace {

bool is_acceptable(std::string_view field, std::size_t field_bytes_max)
{
    return field.size() <= field_bytes_max && field.find('\0') == std::string_view::npos;
}

bool have_equal_fields(const Fields& one, const Fields& other)
{
    return one.login == other.login && one.password == other.password && one.service == other.service &&
           one.realm == other.realm;
}

/// What stands behind the request; an empty address is taken although nobody can see it in the fields.
std::string_view bytes_behind(std::string_view behind_fields, const Fields& fields)
{
    const bool has_empty_address =
        fields.client_address.empty() && behind_fields.starts_with(std::string_view{"\0\0", 2});
    return behind_fields.substr(has_empty_address ? 2 : 0);
}

/// Writes the fields as a client would; the parser has to read the same, and the bytes have to be those that
/// came.
void check_fields(const Fields& fields, std::string_view bytes, std::size_t field_bytes_max)
{
    for (const auto field :
         {fields.login, fields.password, fields.service, fields.realm, fields.client_address})
        promise(is_acceptable(field, field_bytes_max), "every field keeps to the limit and is free of NULs");
    promise(!fields.login.empty() && !fields.password.empty(), "login and password are never empty");

    std::string memory(request_bytes_max(field_bytes_max), '\0');
    const std::string_view written = write_request(memory, fields);
    promise(bytes.starts_with(written), "the fields are what was sent");
    promise(fields.has_bytes_behind == !bytes_behind(bytes.substr(written.size()), fields).empty(),
            "it is known whether all was taken");
    const Parsed again = parse_request(written, field_bytes_max);
    promise(std::holds_alternative<Fields>(again) && have_equal_fields(std::get<Fields>(again), fields),
            "a request that is written again says the same");
}

/// A session that has seen `part` must not learn from the rest that it was wrong.
void check_part(const Parsed& part, const Parsed& whole)
{
    if (std::holds_alternative<NeedsMore>(part))
        return;
    promise(part.index() == whole.index(), "what was decided stays decided");
    if (const auto* const refused = std::get_if<Refused>(&part)) {
        const auto& later = std::get<Refused>(whole);
        promise(refused->why == later.why && refused->field == later.field, "a refusal keeps its reason");
    } else {
        promise(have_equal_fields(std::get<Fields>(part), std::get<Fields>(whole)),
                "fields keep their bytes");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzInput input{data, size};
    const std::size_t field_bytes_max = input.take_number() * 8;
    const std::size_t cut_high = input.take_number();
    const std::size_t cut = cut_high * 256 + input.take_number();
    const std::string_view bytes = input.rest();

    const Parsed whole = parse_request(bytes, field_bytes_max);
    check_part(parse_request(bytes.substr(0, cut), field_bytes_max), whole);
    if (const auto* const fields = std::get_if<Fields>(&whole))
        check_fields(*fields, bytes, field_bytes_max);
    else if (const auto* const refused = std::get_if<Refused>(&whole))
        promise(parse_reply(reply(*refused)).value_or("").starts_with("NO"),
                "a refused request is answered with NO");
    else
        promise(bytes.size() < request_bytes_max(field_bytes_max),
                "no more is asked for than a request can have");
    return 0;
}
