// SPDX-License-Identifier: BSD-2-Clause
#include "tools/openmetrics.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

namespace postern {

namespace {

/// One backend with that name, asked by nobody.
StatusReport report_of(const std::string& backend)
{
    StatusReport report;
    report.backends.emplace_back();
    report.backends[0].name = backend;
    report.backends[0].servers = {{"ldap://a", "down", 12, "timed out", 1'700'000'000, 0}};
    report.duration_bounds_us = {64, 128, 1'048'576};
    return report;
}

std::size_t times_in(const std::string& text, const std::string& part)
{
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

} // namespace

TEST_CASE("metrics tell a backend's decisions and times", "[openmetrics]")
{
    StatusReport report = report_of("staff");
    report.backends[0].decisions.set(Verdict::rejected, 7);
    report.backends[0].durations[Verdict::rejected] = {7, 9'000'064, 60, 130, 130, 9'000'000, {4, 4, 6}};
    const std::string text = openmetrics_text(report);
    CHECK_THAT(text, Catch::Contains(R"(# TYPE postern_backend_decisions counter
# HELP postern_backend_decisions What backends said of logins.
postern_backend_decisions_total{backend="staff",verdict="accepted"} 0
postern_backend_decisions_total{backend="staff",verdict="rejected"} 7
)"));
    CHECK_THAT(text, Catch::Contains(R"(# TYPE postern_backend_duration_seconds histogram
# UNIT postern_backend_duration_seconds seconds
)"));
    CHECK_THAT(text, Catch::Contains(R"(
postern_backend_duration_seconds_bucket{backend="staff",verdict="rejected",le="0.000064"} 4
postern_backend_duration_seconds_bucket{backend="staff",verdict="rejected",le="0.000128"} 4
postern_backend_duration_seconds_bucket{backend="staff",verdict="rejected",le="1.048576"} 6
postern_backend_duration_seconds_bucket{backend="staff",verdict="rejected",le="+Inf"} 7
postern_backend_duration_seconds_count{backend="staff",verdict="rejected"} 7
postern_backend_duration_seconds_sum{backend="staff",verdict="rejected"} 9.000064
)"));
    CHECK_THAT(text, Catch::Contains("\npostern_server_up{backend=\"staff\",server=\"ldap://a\"} 0\n"));
    CHECK_THAT(text, Catch::EndsWith("\n# EOF\n"));
}

TEST_CASE("of what never happened there are metrics too, so that the first time is a rise", "[openmetrics]")
{
    const std::string text = openmetrics_text(report_of("staff"));
    CHECK_THAT(text, Catch::Contains("_bucket{backend=\"staff\",verdict=\"barred\",le=\"0.000064\"} 0\n"));
    CHECK_THAT(text, Catch::Contains("\npostern_logins_total{verdict=\"unavailable\"} 0\n"));
}

TEST_CASE("a name is escaped", "[openmetrics]")
{
    const std::string text = openmetrics_text(report_of("a\"b\\c\nd}"));
    CHECK_THAT(text, Catch::Contains("\npostern_queue_requests{backend=\"a\\\"b\\\\c\\nd}\"} 0\n"));
}

TEST_CASE("of two with one name the first counts", "[openmetrics]")
{
    StatusReport report = report_of("staff");
    report.backends.push_back(report.backends[0]);
    report.backends[1].waiting = 5;
    report.backends[0].servers.push_back({"ldap://a", "up", 3, "", 0, 0});
    const std::string text = openmetrics_text(report);
    CHECK(times_in(text, "\npostern_queue_requests{") == 1);
    CHECK(times_in(text, "\npostern_queue_wait_seconds_count{") == 1);
    CHECK_THAT(
        text, Catch::Contains("\npostern_server_failures_total{backend=\"staff\",server=\"ldap://a\"} 12\n"));
    CHECK(times_in(text, "server=\"ldap://a\"") == 2);
}

TEST_CASE("counts of times that cannot be are left out", "[openmetrics]")
{
    const std::vector<std::uint64_t> within = GENERATE(
        std::vector<std::uint64_t>{}, std::vector<std::uint64_t>{1, 2}, std::vector<std::uint64_t>{2, 1, 3},
        std::vector<std::uint64_t>{1, 2, 8}, std::vector<std::uint64_t>{1, 2, 3, 4});
    StatusReport report = report_of("staff");
    report.backends[0].waits = {7, 1, 1, 1, 1, 1, within};
    const std::string text = openmetrics_text(report);
    CHECK(times_in(text, "postern_queue_wait_seconds_bucket{") == 1);
    CHECK_THAT(text,
               Catch::Contains("\npostern_queue_wait_seconds_bucket{backend=\"staff\",le=\"+Inf\"} 7\n"));
}

TEST_CASE("bounds that do not rise are no bounds", "[openmetrics]")
{
    StatusReport report = report_of("staff");
    report.duration_bounds_us =
        GENERATE(std::vector<std::uint64_t>{64, 64}, std::vector<std::uint64_t>{128, 64});
    report.backends[0].waits = {7, 1, 1, 1, 1, 1, {1, 2}};
    const std::string text = openmetrics_text(report);
    CHECK(times_in(text, "_bucket{") == times_in(text, "le=\"+Inf\""));
}

} // namespace postern
