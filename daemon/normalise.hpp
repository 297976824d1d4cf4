// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/request.hpp"

#include <string>
#include <string_view>

namespace postern {

/// How a listener makes of the names in a request the ones that backends are asked about.
///
/// The saslauthd protocol's are taken as they come: libsasl2 has split login and realm already. The Dovecot
/// protocol has one name alone.
struct NameRules {
    bool splits_realm = false;   ///< what stands behind the last @ of the login is the realm
    std::string default_realm{}; ///< where the login has none
    bool folds_case = false;     ///< of A to Z, and of nothing else: in every backend it means the same
    bool joins_realm = false;    ///< -r: the login becomes login@realm, and the realm is still passed on

    bool operator==(const NameRules&) const = default;
};

/// A request in the names that backends are asked about, and what a listener makes of them once for all who
/// want to know.
struct NormalisedRequest {
    Request request;
    std::string account{}; ///< in one word: "bob@example.org", or "bob" without a realm
    std::string received_user{}, received_realm{}; ///< as the client said them

    /// Whether there is a name left when the realm is taken off.
    [[nodiscard]] bool has_user() const noexcept
    {
        return !request.user.empty() && request.user.front() != '@';
    }
};

[[nodiscard]] NormalisedRequest normalise(Request request, const NameRules& rules);

/// Whether a login without a realm has this one. A to Z are a to z.
[[nodiscard]] bool is_default_realm(std::string_view realm, const NameRules& rules) noexcept;

} // namespace postern
