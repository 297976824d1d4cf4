// SPDX-License-Identifier: BSD-2-Clause
//
// A status is described once, by visit_members(): one visitor makes the JSON of it, another one takes it from
// the JSON, so that neither side can know a field that the other does not.
//
// What is read is bounded before it is believed: the bytes of a line, the depth of its objects (what lies
// deeper is dropped, as every field that nobody knows), the items of a list. A number must fit where it goes.
#include "protocol/control_messages.hpp"

#include "base/spelling.hpp"

#include <array>
#include <concepts>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace postern::control {

namespace {

using Json = nlohmann::json;                ///< to look things up in
using OrderedJson = nlohmann::ordered_json; ///< to be read by people, in the order it was made in

constexpr int depth_max = 8; ///< a duration's counts are at 7
constexpr std::size_t items_max = 4096;
constexpr std::size_t shown_bytes_max = 64; ///< of what a problem repeats

constexpr std::array all_commands{Command::status, Command::reload, Command::finish, Command::flush};

template <typename Value, typename Type>
concept Is = std::same_as<std::remove_const_t<Value>, Type>;

void visit_members(auto& visit, Is<Durations> auto& durations)
{
    visit("count", durations.count);
    visit("sum_us", durations.sum_us);
    visit("p50_us", durations.p50_us);
    visit("p90_us", durations.p90_us);
    visit("p99_us", durations.p99_us);
    visit("max_us", durations.max_us);
    visit("within", durations.within);
}

void visit_members(auto& visit, Is<OfVerdicts<Durations>> auto& durations)
{
    for (const Verdict verdict : all_verdicts)
        visit(std::string{verdict_text(verdict)}.c_str(), durations[verdict]);
}

void visit_members(auto& visit, Is<WorkerStatus> auto& worker)
{
    visit("pid", worker.pid);
    visit("state", worker.state);
    visit("answers", worker.answers);
}

void visit_members(auto& visit, Is<ServerStatus> auto& server)
{
    visit("name", server.name);
    visit("state", server.state);
    visit("failures", server.failures);
    visit("problem", server.problem);
    visit("down_since", server.down_since);
    visit("next_probe_ms", server.next_probe_ms);
}

void visit_members(auto& visit, Is<BackendStatus> auto& backend)
{
    visit("name", backend.name);
    visit("type", backend.type);
    visit("workers_ready", backend.workers_ready);
    visit("workers_max", backend.workers_max);
    visit("workers", backend.workers);
    visit("waiting", backend.waiting);
    visit("queue_max", backend.queue_max);
    visit("declined", backend.declined);
    visit("outwaited", backend.outwaited);
    visit("workers_started", backend.workers_started);
    visit("workers_lost", backend.workers_lost);
    visit("decisions", backend.decisions);
    visit("servers", backend.servers);
    visit("waiting_longest", backend.waiting_longest);
    visit("waits", backend.waits);
    visit("durations", backend.durations);
}

void visit_members(auto& visit, Is<CacheStatus> auto& cache)
{
    visit("entries", cache.entries);
    visit("entries_max", cache.entries_max);
    visit("hits", cache.hits);
    visit("misses", cache.misses);
    visit("outdated", cache.outdated);
    visit("evicted", cache.evicted);
    visit("durations", cache.durations);
}

void visit_members(auto& visit, Is<ListenerStatus> auto& listener)
{
    visit("name", listener.name);
    visit("socket", listener.socket);
    visit("route", listener.route);
    visit("protocol", listener.protocol);
}

void visit_members(auto& visit, Is<StatusReport> auto& report)
{
    visit("version", report.version);
    visit("supervisor", report.supervisor);
    visit("front", report.front);
    visit("since", report.since);
    visit("is_finishing", report.is_finishing);
    visit("logins", report.logins);
    visit("sessions", report.sessions);
    visit("sessions_max", report.sessions_max);
    visit("sessions_displaced", report.sessions_displaced);
    visit("delayed", report.delayed);
    visit("delayed_max", report.delayed_max);
    visit("left_early", report.left_early);
    visit("log_lines_dropped", report.log_lines_dropped);
    visit("cache", report.cache);
    visit("listeners", report.listeners);
    visit("backends", report.backends);
    visit("durations", report.durations);
    visit("duration_bounds_us", report.duration_bounds_us);
}

/// Makes an object, member by member.
class ObjectWriter {
public:
    template <typename Value>
    void operator()(const char* name, const Value& value)
    {
        object_[name] = json_of(value);
    }

    template <typename Value>
    static OrderedJson object_of(const Value& value)
    {
        ObjectWriter writer;
        visit_members(writer, value);
        return std::move(writer.object_);
    }

private:
    template <typename Value>
    static OrderedJson json_of(const Value& value)
    {
        if constexpr (std::integral<Value> || std::same_as<Value, std::string>)
            return value;
        else
            return object_of(value);
    }

    static OrderedJson json_of(const VerdictCounts& counts)
    {
        OrderedJson object = OrderedJson::object();
        for (const Verdict verdict : all_verdicts)
            object[std::string{verdict_text(verdict)}] = counts.of(verdict);
        return object;
    }

    template <typename Item>
    static OrderedJson json_of(const std::vector<Item>& items)
    {
        OrderedJson list = OrderedJson::array();
        for (const Item& item : items)
            list.push_back(json_of(item));
        return list;
    }

    OrderedJson object_ = OrderedJson::object();
};

/// Fills members from an object. What is not there stays as it is; what is there and is something else makes
/// the whole object none.
class ObjectReader {
public:
    explicit ObjectReader(const Json& object) : object_{object}, is_good_{object.is_object()} {}

    template <typename Value>
    void operator()(const char* name, Value& value)
    {
        const auto member = object_.find(name);
        if (is_good_ && member != object_.end())
            is_good_ = take(*member, value);
    }

    [[nodiscard]] bool is_good() const noexcept { return is_good_; }

    template <typename Value>
    [[nodiscard]] static bool take(const Json& json, Value& value)
    {
        ObjectReader reader{json};
        visit_members(reader, value);
        return reader.is_good_;
    }

private:
    [[nodiscard]] static bool take(const Json& json, std::string& text)
    {
        if (json.is_string())
            text = json.get_ref<const std::string&>();
        return json.is_string();
    }

    [[nodiscard]] static bool take(const Json& json, bool& is_so)
    {
        if (json.is_boolean())
            is_so = json.get<bool>();
        return json.is_boolean();
    }

    template <std::integral Number>
    [[nodiscard]] static bool take(const Json& json, Number& number)
    {
        const auto fits = [&number](auto read) {
            number = static_cast<Number>(read);
            return std::in_range<Number>(read);
        };
        if (json.is_number_unsigned())
            return fits(json.get<std::uint64_t>());
        return json.is_number_integer() && fits(json.get<std::int64_t>());
    }

    [[nodiscard]] static bool take(const Json& json, VerdictCounts& counts)
    {
        ObjectReader reader{json};
        for (const Verdict verdict : all_verdicts) {
            std::uint64_t count = 0;
            reader(std::string{verdict_text(verdict)}.c_str(), count);
            counts.set(verdict, count);
        }
        return reader.is_good_;
    }

    template <typename Item>
    [[nodiscard]] static bool take(const Json& json, std::vector<Item>& items)
    {
        if (!json.is_array() || json.size() > items_max)
            return false;
        for (const Json& item : json)
            if (!take(item, items.emplace_back()))
                return false;
        return true;
    }

    const Json& object_;
    bool is_good_;
};

/// Nothing when the line is not one object.
std::optional<Json> parse_object(std::string_view line)
{
    const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= depth_max; };
    constexpr bool throws = false;
    Json object = Json::parse(line.begin(), line.end(), is_shallow, throws);
    return object.is_object() ? std::optional{std::move(object)} : std::nullopt;
}

/// What the object says its version is, in the words of a problem.
std::string version_text(const Json& object)
{
    const auto named = object.find("version");
    return named != object.end() && named->is_number_integer() ? "version " + named->dump() : "none";
}

std::string version_problem(const Json& object)
{
    const std::string ours = "version " + std::to_string(version);
    const std::string theirs = version_text(object);
    return theirs == ours ? "" : "the daemon speaks " + ours + " of this protocol, and the request " + theirs;
}

std::string line_of(const OrderedJson& object)
{
    constexpr auto replace = OrderedJson::error_handler_t::replace;
    return object.dump(-1, ' ', false, replace) + '\n';
}

OrderedJson reply(bool is_ok)
{
    return {{"version", version}, {"ok", is_ok}};
}

std::variant<Command, std::string> command_of(const Json& object)
{
    const auto named = object.find("command");
    if (named == object.end() || !named->is_string())
        return "a request names a command: status, reload, finish or flush";
    const std::string text = named->get<std::string>().substr(0, shown_bytes_max);
    std::vector<std::string> names;
    for (const Command command : all_commands) {
        names.emplace_back(command_text(command));
        if (text == names.back())
            return command;
    }
    return "there is no command '" + text + "'" + did_you_mean(text, names);
}

std::variant<Request, std::string> flush_of(const Json& object)
{
    for (const char* const name : {"user", "realm"})
        if (object.contains(name) &&
            (!object[name].is_string() || object[name].get_ref<const std::string&>().empty()))
            return std::string{name} + " is a name";
    Whose whose;
    ObjectReader reader{object};
    reader("user", whose.user);
    reader("realm", whose.realm);
    if (!whose.user.empty() && !whose.realm.empty())
        return "a flush names a user or a realm, and not both";
    return Request{Command::flush, std::move(whose)};
}

} // namespace

std::string_view command_text(Command command) noexcept
{
    switch (command) {
    case Command::status: return "status";
    case Command::reload: return "reload";
    case Command::finish: return "finish";
    case Command::flush: return "flush";
    }
    return "invalid";
}

std::string write_request(const Request& request)
{
    OrderedJson object{{"version", version}, {"command", command_text(request.command)}};
    if (!request.whose.user.empty())
        object["user"] = request.whose.user;
    if (!request.whose.realm.empty())
        object["realm"] = request.whose.realm;
    return line_of(object);
}

std::variant<Request, std::string> parse_request(std::string_view line)
{
    if (line.size() > request_bytes_max)
        return "a request has at most " + std::to_string(request_bytes_max) + " bytes";
    const auto object = parse_object(line);
    if (!object)
        return "a request is one JSON object on a line";
    if (std::string problem = version_problem(*object); !problem.empty())
        return problem;
    const auto command = command_of(*object);
    if (const auto* const problem = std::get_if<std::string>(&command))
        return *problem;
    return std::get<Command>(command) == Command::flush ? flush_of(*object)
                                                        : Request{std::get<Command>(command)};
}

std::string write_done()
{
    return line_of(reply(true));
}

std::string write_flushed(std::uint64_t logins)
{
    OrderedJson object = reply(true);
    object["flushed"] = logins;
    return line_of(object);
}

std::string write_problem(std::string_view problem)
{
    OrderedJson object = reply(false);
    object["problem"] = problem;
    return line_of(object);
}

std::string write_status(const StatusReport& report)
{
    OrderedJson object = reply(true);
    object["status"] = ObjectWriter::object_of(report);
    std::string line = line_of(object);
    return line.size() <= reply_bytes_max ? line : write_problem("the status is too long for a reply");
}

std::optional<Reply> parse_reply(std::string_view line)
{
    const auto object = line.size() <= reply_bytes_max ? parse_object(line) : std::nullopt;
    if (!object || !version_problem(*object).empty() || !object->contains("ok"))
        return std::nullopt;
    Reply reply;
    ObjectReader reader{*object};
    reader("ok", reply.is_ok);
    reader("problem", reply.problem);
    if (object->contains("flushed"))
        reader("flushed", reply.flushed.emplace());
    if (const auto status = object->find("status"); status != object->end()) {
        reader("status", reply.status.emplace());
        reply.status_json = status->dump(-1, ' ', true, Json::error_handler_t::replace);
    }
    return reader.is_good() ? std::optional{std::move(reply)} : std::nullopt;
}

} // namespace postern::control
