// SPDX-License-Identifier: BSD-2-Clause
#include "tools/status_text.hpp"

#include "tools/control_client.hpp"
#include "tools/text_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

namespace {

constexpr TextTable::Align right = TextTable::Align::right;

/// The two largest units of it: "3 d 4 h".
std::string duration_text(std::int64_t seconds)
{
    const auto two = [](std::int64_t large, const char* large_unit, std::int64_t small,
                        const char* small_unit) {
        return std::to_string(large) + ' ' + large_unit + ' ' + std::to_string(small) + ' ' + small_unit;
    };
    if (seconds >= 86400)
        return two(seconds / 86400, "d", seconds % 86400 / 3600, "h");
    if (seconds >= 3600)
        return two(seconds / 3600, "h", seconds % 3600 / 60, "min");
    if (seconds >= 60)
        return two(seconds / 60, "min", seconds % 60, "s");
    return std::to_string(std::max<std::int64_t>(seconds, 0)) + " s";
}

std::string headline(const StatusReport& report, std::int64_t now)
{
    const std::int64_t began = std::clamp<std::int64_t>(report.since, 0, now);
    std::string text = "Postern " + report.version + ", counting since " + local_time(began) + " (" +
                       duration_text(now - began) + ")\n";
    if (report.is_finishing)
        text += "finishing: who has connected is served, nobody new is\n";
    return text;
}

std::string processes(const StatusReport& report)
{
    TextTable table{{{"PROCESS", {}}, {"PID", right}, {"STATE", {}}, {"ANSWERS", right}}};
    if (report.supervisor != 0)
        table.add({"supervisor", std::to_string(report.supervisor), "", ""});
    table.add({"front", std::to_string(report.front), "", ""});
    for (const BackendStatus& backend : report.backends)
        for (const WorkerStatus& worker : backend.workers)
            table.add({"worker of " + backend.name, std::to_string(worker.pid), worker.state,
                       std::to_string(worker.answers)});
    const std::string_view gone = report.supervisor == 0 ? "supervisor: gone (the front serves on)\n" : "";
    return table.text().append(gone);
}

std::string listeners(const StatusReport& report)
{
    TextTable table{{{"LISTENER", {}}, {"PROTOCOL", {}}, {"ROUTE", {}}, {"SOCKET", {}}}};
    for (const ListenerStatus& listener : report.listeners)
        table.add({listener.name, listener.protocol, listener.route, listener.socket});
    return table.text();
}

std::string workers_in(const BackendStatus& backend, std::initializer_list<std::string_view> states)
{
    return std::to_string(std::ranges::count_if(backend.workers, [states](const WorkerStatus& worker) {
        return std::ranges::find(states, worker.state) != states.end();
    }));
}

std::string backends(const StatusReport& report)
{
    TextTable table{{{"BACKEND", {}},
                     {"TYPE", {}},
                     {"IDLE", right},
                     {"BUSY", right},
                     {"STARTING", right},
                     {"KEPT", right},
                     {"MAX", right},
                     {"STARTED", right},
                     {"LOST", right}}};
    for (const BackendStatus& backend : report.backends)
        table.add({backend.name, backend.type, workers_in(backend, {"idle"}),
                   workers_in(backend, {"busy", "preparing", "probing"}), workers_in(backend, {"starting"}),
                   std::to_string(backend.workers_ready), std::to_string(backend.workers_max),
                   std::to_string(backend.workers_started), std::to_string(backend.workers_lost)});
    return table.text();
}

std::string queues(const StatusReport& report)
{
    TextTable table{{{"QUEUE OF", {}},
                     {"WAITING", right},
                     {"LONGEST", right},
                     {"MAX", right},
                     {"DECLINED", right},
                     {"OUTWAITED", right}}};
    for (const BackendStatus& backend : report.backends)
        table.add({backend.name, std::to_string(backend.waiting), std::to_string(backend.waiting_longest),
                   std::to_string(backend.queue_max), std::to_string(backend.declined),
                   std::to_string(backend.outwaited)});
    return table.text();
}

std::vector<std::string> server_row(const std::string& backend, const ServerStatus& server, std::int64_t now)
{
    const bool is_down = server.down_since != 0;
    const std::string down_for =
        is_down ? duration_text(now - std::clamp<std::int64_t>(server.down_since, 0, now)) : "";
    const std::string probe = is_down ? std::to_string(server.next_probe_ms) + " ms" : "";
    return {backend, server.state, std::to_string(server.failures), down_for, probe, server.name};
}

/// Empty when no backend has any. What each said last stands below, since it may be long.
std::string servers(const StatusReport& report, std::int64_t now)
{
    TextTable table{{{"SERVER OF", {}},
                     {"STATE", {}},
                     {"FAILURES", right},
                     {"DOWN FOR", right},
                     {"PROBE IN", right},
                     {"SERVER", {}}}};
    std::string problems;
    bool is_empty = true;
    for (const BackendStatus& backend : report.backends)
        for (const ServerStatus& server : backend.servers) {
            is_empty = false;
            table.add(server_row(backend.name, server, now));
            if (!server.problem.empty())
                problems += "last problem of " + server.name + ": " + server.problem + '\n';
        }
    return is_empty ? "" : '\n' + table.text() + problems;
}

std::vector<std::string> verdict_row(std::string name, const VerdictCounts& counts)
{
    std::vector<std::string> row{std::move(name)};
    for (const Verdict verdict : all_verdicts)
        row.push_back(std::to_string(counts.of(verdict)));
    return row;
}

std::string verdicts(const StatusReport& report)
{
    std::vector<TextTable::Column> columns{{"VERDICTS", {}}};
    for (const Verdict verdict : all_verdicts)
        columns.push_back({std::string{verdict_text(verdict)}, right});
    TextTable table{std::move(columns)};
    for (const BackendStatus& backend : report.backends)
        table.add(verdict_row("of " + backend.name, backend.decisions));
    table.add(verdict_row("of all logins", report.logins));
    return table.text();
}

/// Three digits of it: "64 us", "1.02 ms", "16.8 s".
std::string time_text(std::uint64_t microseconds)
{
    std::uint64_t whole = microseconds;
    std::uint64_t thousandths = 0;
    std::string unit = " us";
    for (const char* const larger : {" ms", " s"})
        if (whole >= 1000) {
            thousandths = whole % 1000;
            whole /= 1000;
            unit = larger;
        }
    std::string text = std::to_string(whole);
    const std::size_t digits = text.size() < 3 && unit != " us" ? 3 - text.size() : 0;
    if (digits > 0)
        text += '.' + std::to_string(1000 + thousandths).substr(1, digits);
    return text + unit;
}

void add_durations(TextTable& table, const std::string& name, const Durations& durations)
{
    if (durations.count > 0)
        table.add({name, std::to_string(durations.count), time_text(durations.p50_us),
                   time_text(durations.p90_us), time_text(durations.p99_us), time_text(durations.max_us)});
}

void add_durations(TextTable& table, const std::string& name, const OfVerdicts<Durations>& durations)
{
    for (const Verdict verdict : all_verdicts)
        add_durations(table, name + ", " + std::string{verdict_text(verdict)}, durations[verdict]);
}

/// Of what has happened at all. Empty when nothing has.
std::string times(const StatusReport& report)
{
    TextTable table{{{"TIME TO ANSWER", {}},
                     {"COUNT", right},
                     {"P50", right},
                     {"P90", right},
                     {"P99", right},
                     {"MAX", right}}};
    for (const BackendStatus& backend : report.backends)
        add_durations(table, "of " + backend.name, backend.durations);
    add_durations(table, "of all logins", report.durations);
    add_durations(table, "of the cache", report.cache.durations);
    for (const BackendStatus& backend : report.backends)
        add_durations(table, "in the queue of " + backend.name, backend.waits);
    return table.is_empty() ? "" : '\n' + table.text();
}

std::string fronts_own(const StatusReport& report)
{
    TextTable table{{{"FRONT", {}}, {"NOW", right}, {"MAX", right}, {"MADE ROOM", right}}};
    table.add({"sessions", std::to_string(report.sessions), std::to_string(report.sessions_max),
               std::to_string(report.sessions_displaced)});
    table.add({"delayed refusals", std::to_string(report.delayed), std::to_string(report.delayed_max),
               std::to_string(report.left_early)});
    return table.text() + "log lines dropped: " + std::to_string(report.log_lines_dropped) + '\n';
}

std::string cache_line(const CacheStatus& cache)
{
    if (cache.entries_max == 0)
        return "cache: none\n";
    return "cache: " + std::to_string(cache.entries) + " of " + std::to_string(cache.entries_max) +
           " logins, " + std::to_string(cache.hits) + " hits, " + std::to_string(cache.misses) + " misses\n";
}

/// In tenths.
std::string rate(std::uint64_t before, std::uint64_t after, double seconds)
{
    const double count = after > before ? static_cast<double>(after - before) : 0;
    const auto tenths = static_cast<std::uint64_t>(std::llround(count / std::max(seconds, 0.001) * 10));
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10);
}

std::vector<std::string> rate_row(std::string name, const VerdictCounts& before, const VerdictCounts& after,
                                  double seconds)
{
    std::vector<std::string> row{std::move(name)};
    for (const Verdict verdict : all_verdicts)
        row.push_back(rate(before.of(verdict), after.of(verdict), seconds));
    return row;
}

} // namespace

std::string local_time(std::int64_t seconds)
{
    const std::time_t time = seconds;
    std::tm parts{};
    std::array<char, 64> text{};
    if (::localtime_r(&time, &parts) == nullptr)
        return "a time unknown";
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

StatusReport harmless(StatusReport report)
{
    const auto clean = [](std::string& text) { text = printable(text); };
    clean(report.version);
    for (ListenerStatus& listener : report.listeners)
        for (std::string* text : {&listener.name, &listener.socket, &listener.route, &listener.protocol})
            clean(*text);
    for (BackendStatus& backend : report.backends) {
        clean(backend.name);
        clean(backend.type);
        for (WorkerStatus& worker : backend.workers)
            clean(worker.state);
        for (ServerStatus& server : backend.servers)
            for (std::string* text : {&server.name, &server.state, &server.problem})
                clean(*text);
    }
    return report;
}

std::string status_text(const StatusReport& report, std::int64_t now)
{
    const StatusReport shown = harmless(report);
    return headline(shown, now) + '\n' + processes(shown) + '\n' + listeners(shown) + '\n' + backends(shown) +
           servers(shown, now) + '\n' + queues(shown) + '\n' + verdicts(shown) + times(shown) + '\n' +
           fronts_own(shown) + cache_line(shown.cache);
}

std::string rates_text(const StatusReport& before, const StatusReport& after, double seconds)
{
    std::vector<TextTable::Column> columns{{"PER SECOND", {}}};
    for (const Verdict verdict : all_verdicts)
        columns.push_back({std::string{verdict_text(verdict)}, right});
    TextTable table{std::move(columns)};
    for (const BackendStatus& backend : after.backends) {
        const auto same = std::ranges::find(before.backends, backend.name, &BackendStatus::name);
        if (same != before.backends.end())
            table.add(rate_row("of " + printable(backend.name), same->decisions, backend.decisions, seconds));
    }
    table.add(rate_row("of all logins", before.logins, after.logins, seconds));
    return table.text() + "from the cache: " + rate(before.cache.hits, after.cache.hits, seconds) + '\n';
}

} // namespace postern
