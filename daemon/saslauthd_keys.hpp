// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend_types.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// The types whose options a saslauthd.conf holds.
using TypeList = std::vector<const BackendType*>;

/// The option that saslauthd's keys of the form krb5_SERVICE_instance are put together in.
inline constexpr std::string_view instances_key = "krb5_instances";

/// Whose the keys of a saslauthd.conf are: of an option of these types, of another reader of the file, or
/// nobody's. Keys are in lower case. Knows neither lines nor values.
class SaslauthdKeys {
public:
    /// `types` outlives it.
    explicit SaslauthdKeys(const TypeList& types) noexcept : types_{types} {}

    [[nodiscard]] bool has_type(std::string_view name) const noexcept;

    /// Null when there is no such option.
    [[nodiscard]] const BackendOption* find(std::string_view key) const noexcept;
    /// The service whose instance the key sets.
    [[nodiscard]] std::optional<std::string> service_of(std::string_view key) const;
    /// The file may have other readers: saslauthd's other mechanisms.
    [[nodiscard]] bool is_for_others(std::string_view key) const noexcept;
    /// Whether it begins as keys of this file do.
    [[nodiscard]] static bool looks_like_one(std::string_view key) noexcept;

    /// What to write in the place of a key that is nobody's, to stand behind what is said of it.
    [[nodiscard]] std::string advice_on(std::string_view key) const;

private:
    const TypeList& types_;
};

} // namespace postern
