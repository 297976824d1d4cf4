// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_report.hpp"

#include "tools/text_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace postern {

namespace {

constexpr TextTable::Align right = TextTable::Align::right;

struct Quantile {
    const char* name;
    double share;
};

constexpr std::array quantiles{Quantile{"p50", 0.5}, Quantile{"p90", 0.9}, Quantile{"p99", 0.99},
                               Quantile{"max", 1}};

double in_milliseconds(Duration duration)
{
    return std::chrono::duration<double, std::milli>{duration}.count();
}

double in_seconds(Duration duration)
{
    return std::chrono::duration<double>{duration}.count();
}

double logins_per_second(std::uint64_t answered, Duration took)
{
    return took > Duration{} ? static_cast<double>(answered) / in_seconds(took) : 0;
}

/// With so many digits behind the point.
std::string decimal(double number, int digits)
{
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, number);
    return text.data();
}

std::string_view protocol_name(BenchProtocol protocol)
{
    return protocol == BenchProtocol::dovecot ? "dovecot" : "saslauthd";
}

std::string clients_text(std::size_t clients)
{
    return std::to_string(clients) + (clients == 1 ? " client" : " clients");
}

std::string counts(const BenchTally& tally)
{
    TextTable table{{{"LOGINS", right},
                     {"ACCEPTED", right},
                     {"REFUSED", right},
                     {"UNAVAILABLE", right},
                     {"LOST", right},
                     {"MISJUDGED", right}}};
    table.add({std::to_string(tally.logins()), std::to_string(tally.accepted), std::to_string(tally.refused),
               std::to_string(tally.unavailable), std::to_string(tally.lost),
               std::to_string(tally.misjudged)});
    return table.text();
}

std::string latencies(const Latencies& times)
{
    TextTable table{{{"P50 MS", right}, {"P90 MS", right}, {"P99 MS", right}, {"MAX MS", right}}};
    std::vector<std::string> row;
    for (const Quantile& quantile : quantiles)
        row.push_back(decimal(in_milliseconds(times.quantile(quantile.share)), 3));
    table.add(row);
    return table.text();
}

/// The longest bar has this length, and who took any time at all has some.
std::string bar(std::uint64_t logins, std::uint64_t logins_max)
{
    constexpr double length_max = 50;
    const double length = static_cast<double>(logins) / static_cast<double>(logins_max) * length_max;
    return std::string(static_cast<std::size_t>(std::ceil(length)), '#');
}

std::string histogram(const Latencies& times)
{
    const std::vector<Latencies::Bar> bars = times.bars();
    std::uint64_t logins_max = 1;
    for (const Latencies::Bar& each : bars)
        logins_max = std::max(logins_max, each.logins);
    TextTable table{{{"FROM MS", right}, {"LOGINS", right}, {"", {}}}};
    for (const Latencies::Bar& each : bars)
        table.add({decimal(in_milliseconds(each.from), 3), std::to_string(each.logins),
                   bar(each.logins, logins_max)});
    return table.text();
}

} // namespace

std::string bench_text(const BenchPlan& plan, const BenchResult& result)
{
    std::string text =
        clients_text(plan.clients) + " of " + plan.socket + " (" + std::string{protocol_name(plan.protocol)} +
        "): " + decimal(logins_per_second(result.tally.latencies.count(), result.took), 0) +
        " logins/s for " + decimal(in_seconds(result.took), 2) + " s\n\n" + counts(result.tally);
    if (result.tally.latencies.count() > 0)
        text += '\n' + latencies(result.tally.latencies) + '\n' + histogram(result.tally.latencies);
    return text;
}

std::string bench_json(const BenchPlan& plan, const BenchResult& result)
{
    const BenchTally& tally = result.tally;
    nlohmann::ordered_json object{
        {"socket", plan.socket},
        {"protocol", protocol_name(plan.protocol)},
        {"clients", plan.clients},
        {"seconds", in_seconds(result.took)},
        {"logins_per_second", logins_per_second(tally.latencies.count(), result.took)},
        {"logins", tally.logins()},
        {"accepted", tally.accepted},
        {"refused", tally.refused},
        {"unavailable", tally.unavailable},
        {"lost", tally.lost},
        {"misjudged", tally.misjudged},
    };
    for (const Quantile& quantile : quantiles)
        if (tally.latencies.count() > 0)
            object["milliseconds"][quantile.name] = in_milliseconds(tally.latencies.quantile(quantile.share));
    object["histogram"] = nlohmann::ordered_json::array();
    for (const Latencies::Bar& each : tally.latencies.bars())
        object["histogram"].push_back(
            {{"from_milliseconds", in_milliseconds(each.from)}, {"logins", each.logins}});
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
           '\n'; // a path need not be UTF-8
}

std::string bench_progress(std::uint64_t logins, std::uint64_t answered, Duration since_start)
{
    return std::to_string(logins) + " logins, " + decimal(logins_per_second(answered, since_start), 0) + "/s";
}

} // namespace postern
