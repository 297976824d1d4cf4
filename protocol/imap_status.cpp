// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/imap_status.hpp"

#include "base/lower_case.hpp"

#include <algorithm>
#include <array>

namespace postern::imap {

namespace {

constexpr std::array refusal_codes{
    RefusalCode{"AUTHENTICATIONFAILED", Verdict::rejected},
    RefusalCode{"AUTHORIZATIONFAILED", Verdict::barred, true},
    RefusalCode{"EXPIRED", Verdict::barred},
    RefusalCode{"CONTACTADMIN", Verdict::barred},
    RefusalCode{"NOPERM", Verdict::barred},
    RefusalCode{"UNAVAILABLE", Verdict::unavailable},
    RefusalCode{"SERVERBUG", Verdict::unavailable},
    RefusalCode{"CLIENTBUG", Verdict::unavailable},
    RefusalCode{"CANNOT", Verdict::unavailable},
    RefusalCode{"INUSE", Verdict::unavailable},
    RefusalCode{"LIMIT", Verdict::unavailable},
    RefusalCode{"PRIVACYREQUIRED", Verdict::unavailable},
    RefusalCode{"REFERRAL", Verdict::unavailable},
};

} // namespace

std::string_view take_word(std::string_view& text) noexcept
{
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

Status::Status(std::string_view text) noexcept : word{take_word(text)}
{
    const std::size_t end = text.find(']');
    if (!text.starts_with('[') || end == std::string_view::npos)
        return;
    arguments = text.substr(1, end - 1);
    code = take_word(arguments);
}

bool Status::is(std::string_view other) const noexcept
{
    return is_same_word(word, other);
}

const RefusalCode* find_refusal_code(std::string_view name) noexcept
{
    const auto found = std::ranges::find_if(
        refusal_codes, [name](const RefusalCode& code) { return is_same_word(code.name, name); });
    return found == refusal_codes.end() ? nullptr : &*found;
}

std::string summary(const Status& status)
{
    constexpr std::array words{std::string_view{"OK"}, std::string_view{"NO"}, std::string_view{"BAD"},
                               std::string_view{"BYE"}};
    const auto word = std::ranges::find_if(words, [&](std::string_view known) { return status.is(known); });
    if (word == words.end())
        return "something else";
    const RefusalCode* const code = find_refusal_code(status.code);
    return std::string{*word} + (code == nullptr ? "" : " [" + std::string{code->name} + "]");
}

} // namespace postern::imap
