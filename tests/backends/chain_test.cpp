// SPDX-License-Identifier: BSD-2-Clause
#include "backends/chain.hpp"
#include "tests/support/decisions.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

namespace {

using Verdicts = std::vector<Verdict>;

constexpr Verdict accepted = Verdict::accepted;
constexpr Verdict rejected = Verdict::rejected;
constexpr Verdict unknown_user = Verdict::unknown_user;
constexpr Verdict barred = Verdict::barred;
constexpr Verdict unavailable = Verdict::unavailable;

const Verdicts every_verdict{accepted, rejected, unknown_user, barred, unavailable};

/// How a login went: who was asked said this, and that was made of it.
struct Course {
    Verdicts said;
    Verdict concluded = unavailable;
};

/// Asks along the chain; link i would say answers[i].
Course follow(const Chain& chain, const Verdicts& answers)
{
    Course course;
    for (;;) {
        const ChainStep step = next_step(chain, decisions(course.said));
        if (const auto* const end = std::get_if<Concluded>(&step)) {
            course.concluded = end->verdict;
            return course;
        }
        if (std::get<AskLink>(step).link != course.said.size() || course.said.size() == chain.size())
            throw std::logic_error{"asked out of order"};
        course.said.push_back(answers[course.said.size()]);
    }
}

Chain chain_of(std::size_t length)
{
    Chain chain;
    for (std::size_t i = 0; i < length; ++i)
        chain.push_back(ChainLink{i});
    return chain;
}

/// Calls `visit` with every list of `length` of these values.
template <typename Value, typename Visit>
void for_each_list(std::size_t length, const std::vector<Value>& values, Visit visit,
                   std::vector<Value> list = {})
{
    if (list.size() == length)
        return visit(list);
    for (const Value& value : values) {
        auto longer = list;
        longer.push_back(value);
        for_each_list(length, values, visit, std::move(longer));
    }
}

std::vector<VerdictSet> every_verdict_set()
{
    std::vector<VerdictSet> sets;
    for (unsigned members = 0; members < 32; ++members) {
        VerdictSet set{};
        for (std::size_t i = 0; i < every_verdict.size(); ++i)
            if ((members >> i & 1U) != 0)
                set = VerdictSet::from_bits(set.bits() | VerdictSet{every_verdict[i]}.bits());
        sets.push_back(set);
    }
    return sets;
}

/// The sets of next_on that somebody would configure, and the two that nobody should.
std::vector<VerdictSet> telling_verdict_sets()
{
    return {ChainLink{}.next_on, {}, {rejected}, {unavailable}, {rejected, unknown_user, barred},
            {accepted, barred}};
}

/// Calls `visit` with every chain of that length and what its backends might say.
template <typename Visit>
void for_each_login(std::size_t length, const std::vector<VerdictSet>& sets, Visit visit)
{
    for_each_list(length, sets, [&](const std::vector<VerdictSet>& next_on) {
        Chain chain = chain_of(length);
        for (std::size_t i = 0; i < length; ++i)
            chain[i].next_on = next_on[i];
        for_each_list(length, every_verdict, [&](const Verdicts& answers) { visit(chain, answers); });
    });
}

bool contains(const Verdicts& verdicts, Verdict verdict)
{
    return std::ranges::find(verdicts, verdict) != verdicts.end();
}

bool are_all(const Verdicts& verdicts, Verdict verdict)
{
    return std::ranges::count(verdicts, verdict) == std::ssize(verdicts);
}

/// Whether the chain went on where it should and stopped where it should.
bool has_asked_the_right_ones(const Chain& chain, const Verdicts& said)
{
    const auto goes_on = [&](std::size_t i) {
        return said[i] != accepted && chain[i].next_on.contains(said[i]);
    };
    for (std::size_t i = 0; i + 1 < said.size(); ++i)
        if (!goes_on(i))
            return false;
    return said.size() == chain.size() || (!said.empty() && !goes_on(said.size() - 1));
}

/// Whether the conclusion is one that those who were asked justify.
bool is_justified(const Course& course)
{
    const bool somebody_accepted = contains(course.said, accepted);
    const bool somebody_is_down = contains(course.said, unavailable);
    switch (course.concluded) {
    case accepted: return somebody_accepted;
    case unavailable: return !somebody_accepted && (somebody_is_down || course.said.empty());
    case unknown_user: return are_all(course.said, unknown_user) && !course.said.empty();
    case rejected:
    case barred: return !somebody_accepted && !somebody_is_down && contains(course.said, course.concluded);
    }
    return false;
}

std::string text_of(const Verdicts& verdicts)
{
    std::string text;
    for (const Verdict verdict : verdicts)
        text += std::string{verdict_text(verdict)} + ' ';
    return text;
}

} // namespace

TEST_CASE("a chain asks the next backend after an unknown user or an outage, and nobody after any other word",
          "[chain]")
{
    const auto [answers, asked, concluded] = GENERATE(table<Verdicts, std::size_t, Verdict>({
        {{}, 0, unavailable},

        {{accepted}, 1, accepted},
        {{rejected}, 1, rejected},
        {{unknown_user}, 1, unknown_user},
        {{barred}, 1, barred},
        {{unavailable}, 1, unavailable},

        {{accepted, rejected}, 1, accepted},
        {{rejected, accepted}, 1, rejected},
        {{barred, accepted}, 1, barred},
        {{unknown_user, accepted}, 2, accepted},
        {{unknown_user, rejected}, 2, rejected},
        {{unknown_user, unknown_user}, 2, unknown_user},
        {{unknown_user, unavailable}, 2, unavailable},

        {{unavailable, accepted}, 2, accepted},
        {{unavailable, rejected}, 2, unavailable},
        {{unavailable, barred}, 2, unavailable},
        {{unavailable, unknown_user}, 2, unavailable},

        {{unknown_user, unknown_user, accepted}, 3, accepted},
        {{unknown_user, unavailable, unknown_user}, 3, unavailable},
        {{unavailable, unknown_user, accepted}, 3, accepted},
        {{unavailable, rejected, accepted}, 2, unavailable},
    }));
    CAPTURE(text_of(answers));
    const Course course = follow(chain_of(answers.size()), answers);
    CHECK(course.said.size() == asked);
    CHECK(course.concluded == concluded);
}

TEST_CASE("next_on says after which words the next backend is asked", "[chain]")
{
    const auto [next_on, answers, asked, concluded] =
        GENERATE(table<VerdictSet, Verdicts, std::size_t, Verdict>({
            // PAM hides an unknown user behind a rejection: next_on = rejected puts it in front of another
            // backend
            {{rejected}, {rejected, accepted}, 2, accepted},
            {{rejected}, {rejected, rejected}, 2, rejected},
            {{rejected}, {rejected, unavailable}, 2, unavailable},
            {{rejected}, {unknown_user, accepted}, 1, unknown_user},
            {{rejected}, {unavailable, accepted}, 1, unavailable},
            // "never heard of him" takes nothing back that another backend knew
            {{rejected}, {rejected, unknown_user}, 2, rejected},
            {{barred}, {barred, unknown_user}, 2, barred},
            {{barred}, {barred, rejected}, 2, rejected},
            {{barred}, {barred, accepted}, 2, accepted},
            // with an empty next_on the first word is the last
            {{}, {unknown_user, accepted}, 1, unknown_user},
            {{}, {unavailable, accepted}, 1, unavailable},
            // an accepted login is never asked about again
            {{accepted}, {accepted, rejected}, 1, accepted},
        }));
    CAPTURE(text_of(answers));
    Chain chain = chain_of(answers.size());
    for (ChainLink& link : chain)
        link.next_on = next_on;
    const Course course = follow(chain, answers);
    CHECK(course.said.size() == asked);
    CHECK(course.concluded == concluded);
}

TEST_CASE("no chain lets a user in whom no backend accepted, nor makes a wrong password of an outage",
          "[chain]")
{
    const auto [length, sets] = GENERATE(table<std::size_t, std::vector<VerdictSet>>({
        {0, {ChainLink{}.next_on}},
        {1, every_verdict_set()},
        {2, every_verdict_set()},
        {3, telling_verdict_sets()},
    }));
    for_each_login(length, sets, [](const Chain& chain, const Verdicts& answers) {
        const Course course = follow(chain, answers);
        if (!has_asked_the_right_ones(chain, course.said))
            FAIL_CHECK("asked the wrong ones: " << text_of(course.said) << "of " << text_of(answers));
        if (!is_justified(course))
            FAIL_CHECK(text_of(course.said) << "became " << verdict_text(course.concluded));
    });
}

TEST_CASE("as many may be asked behind a link as there are until one whose outage ends the chain", "[chain]")
{
    Chain chain = chain_of(4);
    CHECK(links_behind_outage(chain, 0) == 3);
    CHECK(links_behind_outage(chain, 2) == 1);
    CHECK(links_behind_outage(chain, 3) == 0);
    chain[1].next_on = VerdictSet{unknown_user};
    CHECK(links_behind_outage(chain, 0) == 1);
    CHECK(links_behind_outage(chain, 1) == 0);
    CHECK(links_behind_outage(chain, 2) == 1);
}

TEST_CASE("a word that is no verdict lets nobody in and is not passed over", "[chain]")
{
    const auto number = GENERATE(0, 6, 31);
    const Course course = follow(chain_of(2), {static_cast<Verdict>(number), accepted});
    CHECK(course.said.size() == 1);
    CHECK(course.concluded != accepted);
}

} // namespace postern
