// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config_keys.hpp"

#include <boost/program_options.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// One table of options for both sorts: saslauthd's letters, which its users have in /etc/default/saslauthd,
/// and long names for every key of the one listener, route and backend that these letters describe. Those
/// come from the tables that postern.conf is read with (config_keys.hpp, backend_types.hpp) and are not
/// listed here.
[[nodiscard]] boost::program_options::options_description all_flags();

/// The long option of a key: "--worker-idle" without its dashes.
[[nodiscard]] std::string flag_name(std::string_view key);

/// What was given, asked for by the name as typed: "-a", "deadline".
class GivenFlags {
public:
    /// Throws ConfigError, in our words and not Boost's, when it is none of all_flags().
    explicit GivenFlags(const std::vector<std::string>& arguments);

    [[nodiscard]] bool has_flag(const char* letter) const { return map_[letter].as<bool>(); }

    [[nodiscard]] bool has(const std::string& name) const { return map_.count(name) > 0; }

    /// Calls `use` with the value when the option was given.
    template <typename Use>
    void with(const std::string& name, Use use) const
    {
        if (has(name))
            use(map_[name].as<std::string>());
    }

    /// The same, and puts the flag in front of what a ConfigError says of its value.
    template <typename Use>
    void read(const std::string& name, Use use) const
    {
        with(name, [&](const std::string& text) {
            try {
                use(text);
            } catch (const ConfigError& error) {
                throw ConfigError{typed(name) + ' ' + error.what()};
            }
        });
    }

    /// Sets what was given of the keys that are flags.
    template <typename Target>
    void read_keys(std::span<const ConfigKey<Target>> keys, Target& target) const
    {
        for (const ConfigKey<Target>& key : keys)
            if (key.is_flag())
                read(flag_name(key.name), [&](const std::string& text) { key.set(target, text); });
    }

    /// The names of all that was given.
    [[nodiscard]] std::vector<std::string> names() const;

    /// All values of an option that may be given several times.
    [[nodiscard]] std::vector<std::string> list(const char* name) const;

    /// As it is typed: "-n", "--deadline".
    [[nodiscard]] static std::string typed(const std::string& name);

private:
    boost::program_options::variables_map map_;
};

} // namespace postern
