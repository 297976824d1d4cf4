// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <string>

/// What an LDAP server says, byte by byte (RFC 4511).
namespace postern::ldap_wire {

constexpr char bind_request = '\x60';
constexpr char search_request = '\x63';
constexpr char bind_response = '\x61';
constexpr char search_entry = '\x64';
constexpr char search_done = '\x65';

inline std::string ber(char tag, const std::string& content)
{
    const std::size_t size = content.size();
    const auto byte = [size](unsigned shift) { return static_cast<char>((size >> shift) & 0xffU); };
    const std::string length =
        size < 128 ? std::string{static_cast<char>(size)} : std::string{'\x83', byte(16), byte(8), byte(0)};
    return tag + length + content;
}

/// The answer to question number `id`, which is below 128.
inline std::string message(char id, const std::string& operation, const std::string& controls = "")
{
    return ber(0x30, ber(0x02, std::string(1, id)) + operation + controls);
}

inline std::string result(char id, char kind, const std::string& code, const std::string& diagnostic = "",
                          const std::string& controls = "")
{
    const std::string content = ber(0x0a, code) + ber(0x04, "") + ber(0x04, diagnostic);
    return message(id, ber(kind, content), controls);
}

/// An entry that shows nothing of itself but its DN.
inline std::string entry(char id, const std::string& dn)
{
    return message(id, ber(search_entry, ber(0x04, dn) + ber(0x30, "")));
}

/// The controls of an answer: one.
inline std::string control(const std::string& oid, const std::string& value)
{
    return ber('\xa0', ber(0x30, ber(0x04, oid) + ber(0x04, value)));
}

inline const std::string success{"\0", 1};

} // namespace postern::ldap_wire
