// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <string>

namespace postern {

/// The values of a backend's options: every option of its type in BackendType::options, defaults filled in.
using BackendOptions = std::map<std::string, std::string, std::less<>>;

/// What can be said of options together, when each of them is well by itself. Empty: nothing.
struct OptionFinding {
    std::string problem; ///< for which the backend cannot work
    std::string note;    ///< what the admin may not have meant
};

/// A rule of one type: pure, so that the check of a configuration and the worker say the same.
using OptionRule = OptionFinding (*)(const BackendOptions& options);

[[nodiscard]] OptionFinding ldap_option_rule(const BackendOptions& options);
[[nodiscard]] OptionFinding rimap_option_rule(const BackendOptions& options);

} // namespace postern
