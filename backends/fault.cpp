// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type fault: does on order what a broken backend does. Exists only in builds with
// POSTERN_TESTING. The user's name is the order:
//
//     unknown      unknown_user                  crash    dies by SIGSEGV
//     barred       barred                        abort    dies by SIGABRT
//     unavailable  throws BackendError           exit     _exit(0), as a PAM module might
//     throw        throws std::runtime_error     stop     stops itself (SIGSTOP), then as anybody
//     lie          a verdict that does not exist sleep    sleeps for ever
//     slow         sleeps as many milliseconds as the realm says, then as anybody
//     garbage      writes bytes that are no message to the worker's channel, then sleeps for ever
//     wrongid      answers "accepted" to a question that nobody asked, then sleeps for ever
//     fork         leaves a child with the worker's channel for 30 s, and dies by SIGSEGV
//     outdated     as anybody; asked from then on whether it is outdated, it throws
//     anybody else accepted with the password fault_password, else rejected
//
// The password is an order too: an empty one is none to start with, `late` takes two seconds to load.
//
// A challenge and a proof of SCRAM-SHA-256 are asked with the same orders; anybody else is challenged as one
// who has fault_password, and must prove that.
//
// With fault_servers each request first asks servers. A server is a file (file:///PATH), whose first word
// says what it does:
//
//     down   it cannot be asked           wait   it does not answer while that stands there
//     hang   it never answers             time   as down, and says how many milliseconds it had
//     any other, and no file: it answers
//
// A second word is the one occasion on which it does so: check, prepare or probe. The occasion is written to
// the file of that name with `.asked` behind it, if there is one. More users are orders then:
//
//     which    rejected, with the server's name as the reason
//     prepare  as anybody; then this worker prepares, which it also does at its start
//     renew    the same, and again each time that it has not been asked for a moment
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/servers.hpp"
#include "backends/stores/scram_verifier.hpp"
#include "protocol/worker_messages.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace postern {

namespace {

constexpr int channel = 3; // of every worker, to its front

Decision judge(const Request& request, std::string_view right)
{
    if (!request.user.empty() && !right.empty() && request.password.view() == right)
        return {Verdict::accepted, ""};
    return {Verdict::rejected, "wrong password"};
}

[[noreturn]] void sleep_for_ever()
{
    while (true)
        ::pause();
}

/// As the kernel would, whatever handler a sanitizer has put in the way.
[[noreturn]] void die_by(int signal)
{
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    std::abort();
}

[[noreturn]] Decision send_and_sleep(std::string_view bytes)
{
    static_cast<void>(::send(channel, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    sleep_for_ever();
}

Decision unknown(const Request&)
{
    return {Verdict::unknown_user, "unknown user"};
}

Decision barred(const Request&)
{
    return {Verdict::barred, "account expired"};
}

Decision unavailable(const Request&)
{
    throw BackendError{"the source is down, as ordered"};
}

Decision throw_anything(const Request&)
{
    throw std::runtime_error{"thrown as ordered"};
}

Decision lie(const Request&)
{
    return {static_cast<Verdict>(99), "a verdict that does not exist"};
}

Decision crash(const Request&)
{
    die_by(SIGSEGV);
}

Decision abort(const Request&)
{
    die_by(SIGABRT);
}

Decision exit(const Request&)
{
    ::_exit(0);
}

void stop(const Request&)
{
    ::raise(SIGSTOP);
}

Decision sleep(const Request&)
{
    sleep_for_ever();
}

void slow(const Request& request)
{
    int milliseconds = 0;
    std::from_chars(request.realm.data(), request.realm.data() + request.realm.size(), milliseconds);
    std::this_thread::sleep_for(std::chrono::milliseconds{milliseconds});
}

Decision garbage(const Request&)
{
    send_and_sleep("\xff\x00\x80 this is no message");
}

Decision wrongid(const Request&)
{
    std::array<char, 64> memory{};
    send_and_sleep(write_worker_message(memory, Answer{UINT64_MAX, {Verdict::accepted, ""}}));
}

Decision fork(const Request&)
{
    if (::fork() == 0) {
        ::sleep(30);
        ::_exit(0);
    }
    die_by(SIGSEGV);
}

struct Order {
    std::string_view user;
    Decision (*carry_out)(const Request& request);
};

constexpr std::array orders{
    Order{"unknown", unknown},
    Order{"barred", barred},
    Order{"unavailable", unavailable},
    Order{"lie", lie},
    Order{"throw", throw_anything},
    Order{"crash", crash},
    Order{"abort", abort},
    Order{"exit", exit},
    Order{"sleep", sleep},
    Order{"garbage", garbage},
    Order{"fork", fork},
    Order{"wrongid", wrongid},
};

/// What comes first for some, who are then judged as anybody.
struct Delay {
    std::string_view user;
    void (*carry_out)(const Request& request);
};

constexpr std::array delays{Delay{"stop", stop}, Delay{"slow", slow}};

/// The servers that are files.
class FileServers {
public:
    FileServers(const BackendOptions& options, Servers& health) : health_{health}
    {
        if (const auto files = options.find("fault_servers"); files != options.end())
            for (const std::string& uri : split_servers(files->second))
                files_.push_back(uri.substr(std::string_view{"file://"}.size()));
    }

    [[nodiscard]] bool empty() const noexcept { return files_.empty(); }

    /// The first that answers; empty when there are no servers. Throws BackendError when none does.
    std::string ask(const std::string& occasion)
    {
        for (std::size_t i = 0; i < files_.size(); ++i) {
            if (health_.left_alone().has(i))
                continue;
            if (answers(files_[i], occasion))
                return files_[i];
            health_.failed(i, order_of(files_[i]).first == "time"
                                  ? std::to_string(health_.time_left().count())
                                  : "it is down, as ordered");
        }
        if (!empty())
            throw BackendError{"no server answers, as ordered"};
        return "";
    }

private:
    /// And the occasion that it is for, if there is one.
    static std::pair<std::string, std::string> order_of(const std::string& file)
    {
        std::pair<std::string, std::string> order;
        std::ifstream{file} >> order.first >> order.second;
        return order;
    }

    static bool answers(const std::string& file, const std::string& occasion)
    {
        note(file, occasion);
        while (true) {
            const auto [order, when] = order_of(file);
            if (!when.empty() && when != occasion)
                return true;
            if (order == "hang")
                sleep_for_ever();
            if (order != "wait")
                return order != "down" && order != "time";
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
        }
    }

    static void note(const std::string& file, const std::string& occasion)
    {
        const int asked = ::open((file + ".asked").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
        const std::string line = occasion + '\n';
        static_cast<void>(::write(asked, line.data(), line.size()) < 0);
        ::close(asked);
    }

    std::vector<std::string> files_;
    Servers& health_;
};

class Fault final : public Backend {
public:
    explicit Fault(const BackendContext& context)
        : options_{context.options}
        , secrets_{context.secrets}
        , servers_{context.options, context.servers}
        , is_prepared_{servers_.empty()}
    {
    }

    [[nodiscard]] Decision check(const Request& request) override
    {
        auto ordered = carry_out(request);
        return ordered ? std::move(*ordered) : judge(request, options_.at("fault_password"));
    }

    [[nodiscard]] Decision challenge(const Request& request) override
    {
        auto ordered = carry_out(request);
        return ordered ? std::move(*ordered) : accepted(verifier().challenge());
    }

    [[nodiscard]] Decision prove(const Request& request) override
    {
        if (auto ordered = carry_out(request))
            return std::move(*ordered);
        auto signature = verifier().prove(request.transcript, request.password);
        return signature ? accepted(std::move(*signature)) : Decision{Verdict::rejected, "wrong proof"};
    }

    [[nodiscard]] bool is_outdated() override
    {
        if (throws_)
            throw std::runtime_error{"thrown as ordered"};
        return false;
    }

    [[nodiscard]] bool is_prepared() override { return is_prepared_; }

    [[nodiscard]] std::chrono::milliseconds prepare() override
    {
        servers_.ask("prepare");
        is_prepared_ = true;
        return renews_ ? std::chrono::milliseconds{1} : std::chrono::milliseconds::max();
    }

    void probe() override { servers_.ask("probe"); }

private:
    /// What the user's name orders; nothing for anybody else, and for those who are delayed.
    [[nodiscard]] std::optional<Decision> carry_out(const Request& request)
    {
        const std::string server = servers_.ask("check");
        if (!server.empty() && request.user == "which")
            return Decision{Verdict::rejected, server};
        const auto* const order = std::ranges::find(orders, request.user, &Order::user);
        if (order != orders.end())
            return order->carry_out(request);
        const auto* const delay = std::ranges::find(delays, request.user, &Delay::user);
        if (delay != delays.end())
            delay->carry_out(request);
        throws_ = request.user == "outdated";
        renews_ = request.user == "renew";
        is_prepared_ = servers_.empty() || (request.user != "prepare" && !renews_);
        return std::nullopt;
    }

    static Decision accepted(std::string reply)
    {
        return {Verdict::accepted, "", false, {}, std::move(reply)};
    }

    /// The same for every worker.
    [[nodiscard]] ScramVerifier verifier() const
    {
        const Secret password{secrets_, options_.at("fault_password")};
        return ScramVerifier::make(ScramHash::sha256, password, std::string(scram_salt_bytes, 'f'),
                                   scram_iterations);
    }

    const BackendOptions& options_;
    SecretArena& secrets_;
    FileServers servers_;
    bool throws_ = false;
    bool renews_ = false;
    bool is_prepared_;
};

std::unique_ptr<Backend> make_fault(const BackendContext& context)
{
    const std::string& password = context.options.find("fault_password")->second;
    if (password.empty())
        throw BackendError{"fault_password is empty"}; // as other types find only in a worker what is wrong
    if (password == "late")
        std::this_thread::sleep_for(std::chrono::seconds{2});
    return std::make_unique<Fault>(context);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "fault", make_fault};
}

} // namespace postern
