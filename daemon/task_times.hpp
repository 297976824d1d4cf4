// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>

/// What front and worker have to agree on about the time of a task. Each task says how much it has: the
/// worker ends itself some time after that, and who wants to know of a hang must have noticed before.
namespace postern {

/// So long after the end of a task's time its worker ends by itself, or up to a second later.
inline constexpr std::chrono::seconds lifeline_grace{2};
inline constexpr std::chrono::seconds lifeline_slack{1};

/// So long after the end of its time a worker is killed that has not said a word, and its server is blamed.
inline constexpr std::chrono::seconds answer_grace{1};

static_assert(answer_grace < lifeline_grace, "else nobody is left to be killed, or to be blamed for");

} // namespace postern
