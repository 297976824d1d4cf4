// SPDX-License-Identifier: BSD-2-Clause
//
// https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md: families one after
// the other, each with its type, unit and help; in a family each set of labels once. Seconds are written from
// whole microseconds, digit by digit: a sum that is rounded twice would seem to go down.
#include "tools/openmetrics.hpp"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

namespace {

struct Label {
    std::string_view name;
    std::string_view value;
};

using Labels = std::vector<Label>;

std::string escaped(std::string_view value)
{
    std::string text;
    for (const char byte : value) {
        if (byte == '\\' || byte == '"' || byte == '\n')
            text += '\\';
        text += byte == '\n' ? 'n' : byte;
    }
    return text;
}

/// "{}" is not allowed everywhere, nothing is.
std::string label_text(const Labels& labels)
{
    std::string text;
    for (const Label& label : labels)
        text.append(text.empty() ? "{" : ",")
            .append(label.name)
            .append("=\"")
            .append(escaped(label.value))
            .append("\"");
    return text.empty() ? "" : text + '}';
}

std::string seconds_text(std::uint64_t microseconds)
{
    constexpr std::uint64_t second = 1'000'000;
    return std::to_string(microseconds / second) + '.' +
           std::to_string(second + microseconds % second).substr(1);
}

/// How many took as long as each bound, or less. None when the front told what cannot be.
std::vector<std::uint64_t> counts_within(const Durations& durations, std::size_t bounds)
{
    if (durations.count == 0)
        return std::vector<std::uint64_t>(bounds);
    const std::vector<std::uint64_t>& counts = durations.within;
    const bool can_be = counts.size() == bounds && std::ranges::is_sorted(counts) &&
                        (counts.empty() || counts.back() <= durations.count);
    return can_be ? counts : std::vector<std::uint64_t>{};
}

/// None when they do not rise, for the same reason.
std::vector<std::uint64_t> rising(const std::vector<std::uint64_t>& bounds)
{
    const bool rises = std::ranges::adjacent_find(bounds, std::ranges::greater_equal{}) == bounds.end();
    return rises ? bounds : std::vector<std::uint64_t>{};
}

/// Writes families, one after the other.
class MetricsWriter {
public:
    explicit MetricsWriter(const std::vector<std::uint64_t>& duration_bounds_us)
        : bounds_{rising(duration_bounds_us)}
    {
    }

    void family(std::string_view name, std::string_view type, std::string_view help)
    {
        name_ = "postern_" + std::string{name};
        suffix_ = type == "counter" ? "_total" : type == "info" ? "_info" : "";
        labels_.clear();
        text_ += "# TYPE " + name_ + ' ' + std::string{type} + '\n';
        if (name.ends_with("_seconds"))
            text_ += "# UNIT " + name_ + " seconds\n";
        text_ += "# HELP " + name_ + ' ' + std::string{help} + '\n';
    }

    void value(const Labels& labels, std::uint64_t value) { sample(labels, std::to_string(value)); }

    /// Of an info.
    void facts(const Labels& labels) { value(labels, 1); }

    void seconds(std::int64_t seconds) { sample({}, std::to_string(seconds)); }

    /// Of a histogram.
    void durations(const Labels& labels, const Durations& durations)
    {
        if (!labels_.insert(label_text(labels)).second)
            return;
        Labels with_bound = labels;
        with_bound.push_back({"le", ""});
        const auto bucket = [&](std::string_view bound, std::uint64_t count) {
            with_bound.back().value = bound;
            line("_bucket", with_bound, std::to_string(count));
        };
        const std::vector<std::uint64_t> counts = counts_within(durations, bounds_.size());
        for (std::size_t i = 0; i < counts.size(); ++i)
            bucket(seconds_text(bounds_[i]), counts[i]);
        bucket("+Inf", durations.count);
        line("_count", labels, std::to_string(durations.count));
        line("_sum", labels, seconds_text(durations.sum_us));
    }

    std::string end() { return std::move(text_) + "# EOF\n"; }

private:
    void sample(const Labels& labels, const std::string& value)
    {
        if (labels_.insert(label_text(labels)).second)
            line(suffix_, labels, value);
    }

    void line(std::string_view suffix, const Labels& labels, const std::string& value)
    {
        text_.append(name_).append(suffix).append(label_text(labels)).append(" ").append(value).append("\n");
    }

    std::vector<std::uint64_t> bounds_;
    std::string text_;
    std::string name_;   ///< of the family
    std::string suffix_; ///< of its samples
    std::set<std::string> labels_;
};

void write_front(MetricsWriter& metrics, const StatusReport& report)
{
    metrics.family("build", "info", "The version of Postern that serves.");
    metrics.facts({{"version", report.version}});
    metrics.family("start_time_seconds", "gauge", "When counting began, in seconds since 1970.");
    metrics.seconds(report.since);
    metrics.family("supervisor_up", "gauge", "0: the supervisor is gone, and the front serves on.");
    metrics.value({}, report.supervisor != 0 ? 1 : 0);
    metrics.family("finishing", "gauge", "1: who has connected is served, nobody new is.");
    metrics.value({}, report.is_finishing ? 1 : 0);
    metrics.family("sessions", "gauge", "Connections now.");
    metrics.value({}, report.sessions);
    metrics.family("sessions_max", "gauge", "The bound on connections.");
    metrics.value({}, report.sessions_max);
    metrics.family("sessions_displaced", "counter", "Connections ended because others needed their place.");
    metrics.value({}, report.sessions_displaced);
    metrics.family("delayed_refusals", "gauge", "Refusals that wait for their moment.");
    metrics.value({}, report.delayed);
    metrics.family("delayed_refusals_max", "gauge", "The bound on refusals that wait.");
    metrics.value({}, report.delayed_max);
    metrics.family("refusals_left_early", "counter", "Refusals that made room for others.");
    metrics.value({}, report.left_early);
    metrics.family("log_lines_dropped", "counter", "Lines that the log had no room for.");
    metrics.value({}, report.log_lines_dropped);
    metrics.family("listener", "info", "The sockets that are served.");
    for (const ListenerStatus& listener : report.listeners)
        metrics.facts({{"listener", listener.name},
                       {"protocol", listener.protocol},
                       {"route", listener.route},
                       {"socket", listener.socket}});
}

void write_logins(MetricsWriter& metrics, const StatusReport& report)
{
    metrics.family("logins", "counter", "Logins, by what became of them.");
    for (const Verdict verdict : all_verdicts)
        metrics.value({{"verdict", verdict_text(verdict)}}, report.logins.of(verdict));
    metrics.family("login_duration_seconds", "histogram",
                   "From a login's whole request to its verdict, without the delay of refusals.");
    for (const Verdict verdict : all_verdicts)
        metrics.durations({{"verdict", verdict_text(verdict)}, {"cached", "no"}}, report.durations[verdict]);
    metrics.durations({{"verdict", verdict_text(Verdict::accepted)}, {"cached", "yes"}},
                      report.cache.durations);
}

void write_cache(MetricsWriter& metrics, const CacheStatus& cache)
{
    metrics.family("cache_entries", "gauge", "Logins that are remembered.");
    metrics.value({}, cache.entries);
    metrics.family("cache_entries_max", "gauge", "The bound on logins that are remembered; 0: none is.");
    metrics.value({}, cache.entries_max);
    metrics.family("cache_hits", "counter", "Logins about which nobody had to be asked.");
    metrics.value({}, cache.hits);
    metrics.family("cache_misses", "counter", "Logins that might have been remembered, and were not.");
    metrics.value({}, cache.misses);
    metrics.family("cache_outdated", "counter",
                   "Entries that were found too old, or older than a change of their store.");
    metrics.value({}, cache.outdated);
    metrics.family("cache_evicted", "counter", "Entries that made room for others.");
    metrics.value({}, cache.evicted);
}

void write_decisions(MetricsWriter& metrics, const std::vector<BackendStatus>& backends)
{
    metrics.family("backend", "info", "The backends that are asked.");
    for (const BackendStatus& backend : backends)
        metrics.facts({{"backend", backend.name}, {"type", backend.type}});
    metrics.family("backend_decisions", "counter", "What backends said of logins.");
    for (const BackendStatus& backend : backends)
        for (const Verdict verdict : all_verdicts)
            metrics.value({{"backend", backend.name}, {"verdict", verdict_text(verdict)}},
                          backend.decisions.of(verdict));
    metrics.family("backend_duration_seconds", "histogram",
                   "From a question to a backend to its decision, the queue included.");
    for (const BackendStatus& backend : backends)
        for (const Verdict verdict : all_verdicts)
            metrics.durations({{"backend", backend.name}, {"verdict", verdict_text(verdict)}},
                              backend.durations[verdict]);
}

/// One sample a backend.
template <typename Number>
void write_each(MetricsWriter& metrics, const std::vector<BackendStatus>& backends,
                Number BackendStatus::*member)
{
    for (const BackendStatus& backend : backends)
        metrics.value({{"backend", backend.name}}, backend.*member);
}

void write_queues(MetricsWriter& metrics, const std::vector<BackendStatus>& backends)
{
    metrics.family("queue_requests", "gauge", "Requests that wait for a worker.");
    write_each(metrics, backends, &BackendStatus::waiting);
    metrics.family("queue_requests_longest", "gauge", "The most requests that ever waited.");
    write_each(metrics, backends, &BackendStatus::waiting_longest);
    metrics.family("queue_requests_max", "gauge", "The bound on requests that wait.");
    write_each(metrics, backends, &BackendStatus::queue_max);
    metrics.family("queue_declined", "counter",
                   "Requests that found the queue full, or nobody who could be asked.");
    write_each(metrics, backends, &BackendStatus::declined);
    metrics.family("queue_outwaited", "counter", "Requests for which no worker was free in time.");
    write_each(metrics, backends, &BackendStatus::outwaited);
    metrics.family("queue_wait_seconds", "histogram", "How long requests waited until a worker had them.");
    for (const BackendStatus& backend : backends)
        metrics.durations({{"backend", backend.name}}, backend.waits);
}

std::uint64_t workers_in(const BackendStatus& backend, std::string_view state)
{
    return static_cast<std::uint64_t>(std::ranges::count(backend.workers, state, &WorkerStatus::state));
}

void write_workers(MetricsWriter& metrics, const std::vector<BackendStatus>& backends)
{
    metrics.family("workers", "gauge", "Worker processes, by what they are at.");
    for (const BackendStatus& backend : backends)
        for (const std::string_view state : {"starting", "preparing", "idle", "busy", "probing", "condemned"})
            metrics.value({{"backend", backend.name}, {"state", state}}, workers_in(backend, state));
    metrics.family("workers_kept", "gauge", "Workers that are kept ready.");
    write_each(metrics, backends, &BackendStatus::workers_ready);
    metrics.family("workers_max", "gauge", "The bound on workers.");
    write_each(metrics, backends, &BackendStatus::workers_max);
    metrics.family("workers_started", "counter", "Workers that were started.");
    write_each(metrics, backends, &BackendStatus::workers_started);
    metrics.family("workers_lost", "counter", "Workers that ended by themselves, or had to be killed.");
    write_each(metrics, backends, &BackendStatus::workers_lost);
}

/// Calls `write` with a server's labels and the server.
template <typename Write>
void for_each_server(const std::vector<BackendStatus>& backends, const Write& write)
{
    for (const BackendStatus& backend : backends)
        for (const ServerStatus& server : backend.servers)
            write(Labels{{"backend", backend.name}, {"server", server.name}}, server);
}

void write_servers(MetricsWriter& metrics, const std::vector<BackendStatus>& backends)
{
    metrics.family("server_up", "gauge", "0: the server is down, and is left alone.");
    for_each_server(backends, [&](const Labels& labels, const ServerStatus& server) {
        metrics.value(labels, server.down_since == 0 ? 1 : 0);
    });
    metrics.family("server_failures", "counter", "Failures of a server, told by workers or found by probes.");
    for_each_server(backends, [&](const Labels& labels, const ServerStatus& server) {
        metrics.value(labels, server.failures);
    });
}

} // namespace

std::string openmetrics_text(const StatusReport& report)
{
    MetricsWriter metrics{report.duration_bounds_us};
    write_front(metrics, report);
    write_logins(metrics, report);
    write_cache(metrics, report.cache);
    write_decisions(metrics, report.backends);
    write_queues(metrics, report.backends);
    write_workers(metrics, report.backends);
    write_servers(metrics, report.backends);
    return metrics.end();
}

} // namespace postern
