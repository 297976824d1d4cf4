// SPDX-License-Identifier: BSD-2-Clause

// Whatever a stranger calls himself, in a filter he is one value and in a DN too: what he typed adds no
// character that means something there, and is there as he typed it.
#include "backends/ldap_template.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>

using namespace postern;

namespace {

int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Both syntaxes write a byte as `\` and two digits.
std::string unescape(std::string_view text)
{
    std::string value;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] != '\\') {
            value += text[i];
        } else {
            promise(i + 2 < text.size() && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0,
                    "a backslash has two digits behind it");
            value += static_cast<char>(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
            i += 2;
        }
    return value;
}

void check_value(std::string_view escaped, std::string_view value, std::string_view special)
{
    promise(escaped.find_first_of(special) == std::string_view::npos, "nothing in it has a meaning");
    promise(unescape(escaped) == value, "it is what was typed");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace std::string_view_literals;
    FuzzInput input{data, size};
    const std::size_t pattern_bytes = input.take_number() % 32;
    const std::string_view bytes = input.rest();
    const std::string_view pattern = bytes.substr(0, pattern_bytes);
    const std::string_view value = bytes.substr(pattern.size());

    check_value(escape_for_filter(value), value, "*()\0"sv);
    check_value(escape_for_dn(value), value, ",+\"<>;=# \0"sv);

    const LdapNames names{value, value, value, "cn=x"};
    for (const LdapSyntax syntax : {LdapSyntax::filter, LdapSyntax::dn}) {
        const LdapTemplate any{syntax, std::string{pattern}};
        const std::string expanded = any.expand(names);
        promise(expanded.size() <= pattern.size() * (3 * value.size() + 4), "a pattern has an end");
        promise(any.has_tokens() || expanded == any.expand({}), "no token, no difference");
        const std::string alone = LdapTemplate{syntax, "%u"}.expand(names);
        promise(LdapTemplate{syntax, "[%u|%s]"}.expand(names) == '[' + alone + '|' + alone + ']',
                "what was typed is not expanded again");
    }
    return 0;
}
