// SPDX-License-Identifier: BSD-2-Clause

// Whatever a peer says in the Dovecot protocol, and in whatever pieces it comes, a session hears the same:
// requests with an id of their own and a service, fields without a NUL, and nothing behind a fault.
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/dovecot_wire.hpp"

using namespace postern;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view greeting = "VERSION\t1\t0\nCPID\t4711\n";

void check(std::string_view text)
{
    promise(text.find('\0') == std::string_view::npos, "no field has a NUL");
}

void check_address(std::string_view text)
{
    promise(text.find_first_not_of("0123456789abcdefABCDEF.:") == std::string_view::npos,
            "an address is one");
}

/// What a client of Postern's would say for the same login is heard as the same login.
void check_rewritten(const dovecot::Auth& auth)
{
    std::string memory(dovecot::line_bytes_max, '\0');
    std::string decoded(dovecot::response_bytes_max, '\0');
    const auto response =
        auth.response ? dovecot::decode_base64(*auth.response, decoded) : std::optional{std::string_view{}};
    if (!response)
        return;
    DovecotServer server;
    try {
        auto heard = server.hear(dovecot::write_greeting(memory, 1), memory.size());
        heard = server.hear(dovecot::write_auth(memory, auth.id, auth.mechanism, auth.parameters,
                                                auth.response ? response : std::nullopt),
                            memory.size());
        promise(heard == std::vector{heard_text(auth)}, "what is written again says the same");
    } catch (const std::length_error&) {
        promise(auth.mechanism.size() + auth.parameters.service.size() + response->size() > 4000,
                "only what is long does not fit");
    }
}

void check(const dovecot::Auth& auth)
{
    promise(auth.id != 0 && !auth.mechanism.empty() && !auth.parameters.service.empty(),
            "a request has an id, a mechanism and a service");
    check(auth.mechanism);
    check(auth.parameters.service);
    check(auth.parameters.local_name);
    check(auth.parameters.session);
    check_address(auth.parameters.client_address);
    check_address(auth.parameters.server_address);
    check_rewritten(auth);
}

void check(const dovecot::Cont& cont)
{
    promise(cont.id != 0, "an id is not zero");
    check(cont.response);
}

void check(const dovecot::Cancel& cancel)
{
    promise(cancel.id != 0, "an id is not zero");
}

void check(const dovecot::Broken& broken)
{
    promise(dovecot::broken_text(broken.why) != "invalid", "a fault has a text");
}

void check(const dovecot::NeedsMore&) {}

/// Each command, by itself; no id is live.
void check_commands(std::string bytes)
{
    dovecot::ServerSide side{[](std::uint32_t) { return false; }};
    for (bool goes_on = true; goes_on;) {
        const auto [command, taken] = side.next(bytes);
        std::visit([](const auto& what) { check(what); }, command);
        promise(taken <= bytes.size(), "no more is taken than there was");
        goes_on = !std::holds_alternative<dovecot::Broken>(command) &&
                  !std::holds_alternative<dovecot::NeedsMore>(command);
        promise(!goes_on || taken > 0, "a command takes its bytes");
        bytes.erase(0, taken);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzInput input{data, size};
    const bool is_greeted = input.take_number() % 2 != 0;
    const std::size_t piece_bytes = 1 + input.take_number();
    const std::string bytes = (is_greeted ? std::string{greeting} : "").append(input.rest());

    const auto whole = DovecotServer{}.hear(bytes, bytes.size());
    promise(whole == DovecotServer{}.hear(bytes, piece_bytes), "pieces mean nothing");
    check_commands(bytes);
    return 0;
}
