// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config_keys.hpp"
#include "daemon/config_problem.hpp"
#include "daemon/config_reader.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace postern {

/// What is wrong with the sections of a postern.conf. Nothing ends at the first problem: each is noted with
/// its line, so that all can be said at once.
class SectionProblems {
public:
    explicit SectionProblems(std::vector<ConfigProblem> of_the_text = {}) : problems_{std::move(of_the_text)}
    {
    }

    [[nodiscard]] bool empty() const noexcept { return problems_.empty(); }
    [[nodiscard]] std::vector<ConfigProblem> take() noexcept { return std::move(problems_); }

    void note(const ConfigSection& section, const ConfigEntry& entry, std::string text);
    /// A key that is missing, or the section as a whole.
    void note(const ConfigSection& section, std::string key, std::string text);
    /// The file as a whole.
    void note(std::string text);

    /// `known` are the keys that may have been meant.
    void note_unknown_key(const ConfigSection& section, const ConfigEntry& entry,
                          const std::vector<std::string>& known);

    /// Has the value taken by `act`, which may throw ConfigError.
    template <typename Act>
    void note_errors(const ConfigSection& section, const ConfigEntry& entry, Act act)
    try {
        act(std::string{trimmed(entry.value)});
    } catch (const ConfigError& error) {
        note(section, entry, error.what());
    }

    /// Has the value taken by its key. False when that is none of `keys`.
    template <typename Target>
    bool set(std::span<const ConfigKey<Target>> keys, Target& target, const ConfigSection& section,
             const ConfigEntry& entry)
    {
        const ConfigKey<Target>* const key = find_key(keys, entry.key);
        if (key != nullptr)
            note_errors(section, entry, [&](const std::string& value) { key->set(target, value); });
        return key != nullptr;
    }

private:
    std::vector<ConfigProblem> problems_;
};

} // namespace postern
