// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/bench_run.hpp"

#include <string>

namespace postern {

/// What a load came to, for a terminal of 80 columns: counts, latencies, a histogram.
[[nodiscard]] std::string bench_text(const BenchPlan& plan, const BenchResult& result);

/// The same for programs: one object, in one line.
[[nodiscard]] std::string bench_json(const BenchPlan& plan, const BenchResult& result);

/// While it runs, in less than a line: "4500 logins, 24000/s".
[[nodiscard]] std::string bench_progress(std::uint64_t logins, std::uint64_t answered, Duration since_start);

} // namespace postern
