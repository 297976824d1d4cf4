// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/request.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postern::kerberos5 {

/// Where the first such byte stands that no backslash quotes; npos if nowhere.
[[nodiscard]] std::size_t find_unquoted(std::string_view name, char wanted);

/// What the names of logins are in Kerberos: USER[/INSTANCE][@REALM], in text, as the incumbent puts it
/// together. No library here, which parses it then.
class PrincipalNames {
public:
    /// `instances` is "SERVICE=INSTANCE SERVICE=INSTANCE"; throws BackendError when it is not.
    PrincipalNames(std::string_view instances, bool dot_is_slash);

    /// Nothing when there can be no such principal, or it is not for this service.
    [[nodiscard]] std::optional<std::string> name_of(const Request& request) const;

private:
    using Instances = std::map<std::string, std::string, std::less<>>;

    [[nodiscard]] static Instances parse_instances(std::string_view text);
    [[nodiscard]] std::optional<std::string> with_instance(std::string user,
                                                           const std::string& service) const;

    const Instances instances_; ///< by services in lower case
    const bool dot_is_slash_;
};

} // namespace postern::kerberos5
