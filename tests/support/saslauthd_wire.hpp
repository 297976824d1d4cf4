// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

namespace postern {

/// A 16-bit length and that many bytes, as spec/saslauthd.md has it and not as our own code writes it.
inline std::string counted(std::string_view text)
{
    std::string wire{static_cast<char>(text.size() / 256), static_cast<char>(text.size() % 256)};
    return wire += text;
}

/// A request of four fields, as libsasl2 sends it.
inline std::string request_wire(std::string_view login, std::string_view password, std::string_view service,
                                std::string_view realm)
{
    return counted(login) + counted(password) + counted(service) + counted(realm);
}

} // namespace postern
