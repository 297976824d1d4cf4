// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/section_problems.hpp"

#include "base/spelling.hpp"

namespace postern {

void SectionProblems::note(const ConfigSection& section, const ConfigEntry& entry, std::string text)
{
    problems_.push_back({entry.line, section.title(), shown_key(entry.key), std::move(text)});
}

void SectionProblems::note(const ConfigSection& section, std::string key, std::string text)
{
    problems_.push_back({section.line, section.title(), std::move(key), std::move(text)});
}

void SectionProblems::note(std::string text)
{
    problems_.push_back({0, "", "", std::move(text)});
}

void SectionProblems::note_unknown_key(const ConfigSection& section, const ConfigEntry& entry,
                                       const std::vector<std::string>& known)
{
    if (shown_key(entry.key) != entry.key)
        return note(section, entry, "key = value was expected");
    if (const std::string place = place_of_key(entry.key); !place.empty())
        return note(section, entry, "belongs to " + place + ", and not here");
    note(section, entry,
         "there is no such key in a [" + section.kind + "]; another one was expected" +
             did_you_mean(entry.key, known));
}

} // namespace postern
