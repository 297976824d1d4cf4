// SPDX-License-Identifier: BSD-2-Clause
//
// The IMAP of a login. A server that is asked about a password is a stranger that a word of suffices to let
// somebody in, so the rule is: what was not expected is an outage. Untagged lines are the exception, since a
// server may send any of them at any time; they are read for what they say of capabilities and of the
// server's end, and skipped.
//
// AUTHENTICATE PLAIN is preferred to LOGIN: base64 can carry every byte and cannot be taken for a command. Of
// LOGIN's two ways to write a string the quoted one has no room for CR, LF and bytes above 127; then both
// strings are literals, whose bytes are counted, so that a line break in a password is a byte of it.
//
// A server may send back what it got. Reasons quote it only as long as it has not seen credentials; later no
// more than the status and those response codes that are known (imap_status.cpp).
#include "protocol/imap_dialogue.hpp"

#include "base/lower_case.hpp"
#include "base/nul_byte.hpp"
#include "protocol/imap_status.hpp"
#include "protocol/imap_writer.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace postern::imap {

bool can_be_sent(std::string_view text) noexcept
{
    return !text.empty() && !has_nul(text);
}

Dialogue::Dialogue(std::string tag, StartTls start_tls) : tag_{std::move(tag)}, start_tls_{start_tls} {}

std::string Dialogue::tag() const
{
    return tag_ + std::to_string(commands_);
}

Dialogue::Wants Dialogue::wants() const noexcept
{
    if (state_ == State::decided)
        return Wants::nothing;
    if (is_to_send_)
        return Wants::to_send;
    if (state_ == State::tls)
        return Wants::tls;
    return state_ == State::ready ? Wants::credentials : Wants::to_receive;
}

std::string_view Dialogue::awaited() const noexcept
{
    switch (state_) {
    case State::greeting: return "the greeting";
    case State::capabilities: return "the answer to CAPABILITY";
    case State::starting_tls: return "the answer to STARTTLS";
    case State::tls: return "TLS";
    case State::ready:
    case State::mechanism:
    case State::user_size:
    case State::password_size:
    case State::password:
    case State::response:
    case State::whole_response:
    case State::whole_login:
    case State::decided: break;
    }
    return "the answer to the login";
}

void Dialogue::receive(std::string_view bytes)
{
    while (!bytes.empty() && state_ != State::decided) {
        if (state_ == State::tls)
            return unavailable("the server sent something between its answer to STARTTLS and TLS");
        const std::size_t end = bytes.find('\n');
        const bool is_whole = end != std::string_view::npos;
        answer_bytes_ += is_whole ? end + 1 : bytes.size();
        if (answer_bytes_ > answer_bytes_max)
            return unavailable("the server sends without end");
        line_.add(bytes.substr(0, end));
        if (!is_whole)
            return;
        bytes.remove_prefix(end + 1);
        take_line(line_.text());
        line_.clear();
    }
}

void Dialogue::end_of_stream()
{
    if (state_ == State::decided)
        return;
    unavailable(line_.is_empty() ? "the server closed the connection; awaited was " + std::string{awaited()}
                                 : "the server closed the connection in the middle of a line");
}

void Dialogue::take_line(std::string_view line)
{
    const std::string our_tag = tag() + " ";
    const bool is_asked = !is_to_send_; // nobody can answer what was not asked
    if (state_ == State::greeting)
        take_greeting(line);
    else if (line.starts_with("* "))
        take_untagged(line);
    else if (is_asked && (line == "+" || line.starts_with("+ ")))
        take_continuation();
    else if (is_asked && line.starts_with(our_tag))
        take_tagged(line.substr(our_tag.size()));
    else
        take_unexpected(line);
}

void Dialogue::take_greeting(std::string_view line)
{
    const Status status{line.starts_with("* ") ? line.substr(2) : std::string_view{}};
    if (status.is("PREAUTH"))
        return unavailable("the server lets everybody in (PREAUTH), and so cannot be asked");
    if (!status.is("OK"))
        return take_unexpected(line);
    take_capability_code(line.substr(2));
    if (state_ == State::decided)
        return;
    if (start_tls_ == StartTls::required)
        return enter(State::starting_tls);
    go_on();
}

/// Greeted, and encrypted if that was asked for.
void Dialogue::go_on()
{
    if (!capabilities_.are_known)
        return enter(State::capabilities);
    answer_bytes_ = 0;
    state_ = State::ready;
}

void Dialogue::take_untagged(std::string_view line)
{
    std::string_view text = line.substr(2);
    const Status status{text};
    if (status.is("BYE") || status.is("BAD"))
        return take_unexpected(line);
    if (status.is("OK"))
        return take_capability_code(text);
    if (status.is("NO"))
        return;
    if (line_.ends_in_literal())
        return unavailable("the server sent data that nobody asked for");
    if (!is_same_word(take_word(text), "CAPABILITY"))
        return;
    if (line_.is_cut())
        return unavailable("the server's list of capabilities is too long");
    take_capabilities(text);
}

void Dialogue::take_capability_code(std::string_view status_text)
{
    if (const Status status{status_text}; is_same_word(status.code, "CAPABILITY"))
        take_capabilities(status.arguments);
}

void Dialogue::take_capabilities(std::string_view list)
{
    capabilities_ = {.are_known = true};
    const std::array known{
        std::pair{std::string_view{"AUTH=PLAIN"}, &capabilities_.auth_plain},
        std::pair{std::string_view{"SASL-IR"}, &capabilities_.sasl_ir},
        std::pair{std::string_view{"LOGINDISABLED"}, &capabilities_.login_disabled},
        std::pair{std::string_view{"LITERAL+"}, &capabilities_.literal_plus},
        std::pair{std::string_view{"LITERAL-"}, &capabilities_.literal_minus},
    };
    while (!list.empty()) {
        const std::string_view word = take_word(list);
        for (const auto& [name, is_offered] : known)
            *is_offered |= is_same_word(word, name);
    }
}

void Dialogue::take_continuation()
{
    switch (state_) {
    case State::mechanism: return send_in(State::response);
    case State::user_size: return send_in(State::password_size);
    case State::password_size: return send_in(State::password);
    case State::greeting:
    case State::capabilities:
    case State::starting_tls:
    case State::tls:
    case State::ready:
    case State::password:
    case State::response:
    case State::whole_response:
    case State::whole_login:
    case State::decided: break;
    }
    unavailable("the server asked for more than there is to say; awaited was " + std::string{awaited()});
}

void Dialogue::take_tagged(std::string_view status_text)
{
    const Status status{status_text};
    switch (state_) {
    case State::capabilities:
        if (!status.is("OK"))
            return take_unexpected(status_text);
        take_capability_code(status_text);
        if (state_ == State::decided)
            return;
        if (!capabilities_.are_known)
            return unavailable("the server does not tell its capabilities");
        return go_on();
    case State::starting_tls:
        if (!status.is("OK"))
            return unavailable("the server does not begin TLS: " + summary(status));
        state_ = State::tls;
        return;
    case State::password:
    case State::response:
    case State::whole_response:
    case State::whole_login: return take_verdict(status_text);
    case State::mechanism:
    case State::user_size:
    case State::password_size: // neither yes nor no: it does not have the password yet
        return unavailable("the server answered the login before it had the password: " + summary(status));
    case State::greeting:
    case State::tls:
    case State::ready:
    case State::decided: break;
    }
    take_unexpected(status_text);
}

void Dialogue::take_verdict(std::string_view status_text)
{
    const Status status{status_text};
    if (status.is("OK"))
        return decide({Verdict::accepted, ""});
    std::string reason = "the server answered " + summary(status);
    if (!status.is("NO"))
        return unavailable(std::move(reason));
    const RefusalCode* const code = find_refusal_code(status.code);
    if (code == nullptr)
        return decide({Verdict::rejected, std::move(reason)});
    decide({code->verdict, std::move(reason), code->password_was_right});
}

void Dialogue::take_unexpected(std::string_view line)
{
    constexpr std::size_t quoted_bytes_max = 200;
    if (!has_credentials_)
        return unavailable("unexpected from the server: " + std::string{line.substr(0, quoted_bytes_max)});
    const Status status{line.starts_with("* ") ? line.substr(2) : std::string_view{}};
    unavailable("unexpected from the server: " + summary(status));
}

void Dialogue::tls_started()
{
    assert(state_ == State::tls);
    capabilities_ = {}; // what was said in the open may have been anybody's word
    go_on();
}

void Dialogue::log_in(std::string_view user, std::string_view password)
{
    assert(state_ == State::ready);
    if (!can_be_sent(user) || !can_be_sent(password))
        return decide({Verdict::rejected, "an empty name or password, or one with a NUL"});
    user_ = user;
    password_ = password;
    has_credentials_ = true;
    const std::size_t whole_bytes = plain_size(user, password) + 65; // with the command in front
    if (capabilities_.auth_plain)
        return enter(capabilities_.sasl_ir && whole_bytes < short_line_bytes_max ? State::whole_response
                                                                                 : State::mechanism);
    if (capabilities_.login_disabled)
        return unavailable("the server does not let us log in without TLS (LOGINDISABLED)");
    if ((can_be_quoted(user) && can_be_quoted(password)) || has_literals_without_waiting())
        return enter(State::whole_login);
    enter(State::user_size);
}

bool Dialogue::has_literals_without_waiting() const noexcept
{
    constexpr std::size_t of_literal_minus = 4096;
    return capabilities_.literal_plus ||
           (capabilities_.literal_minus && std::max(user_.size(), password_.size()) <= of_literal_minus);
}

/// A new command.
void Dialogue::enter(State state)
{
    ++commands_;
    send_in(state);
}

void Dialogue::send_in(State state)
{
    state_ = state;
    is_to_send_ = true;
    answer_bytes_ = 0;
}

std::string_view Dialogue::outgoing(std::span<char> memory)
{
    is_to_send_ = false;
    TextWriter out{memory};
    switch (state_) {
    case State::capabilities: out << tag() << " CAPABILITY\r\n"; break;
    case State::starting_tls: out << tag() << " STARTTLS\r\n"; break;
    case State::mechanism: out << tag() << " AUTHENTICATE PLAIN\r\n"; break;
    case State::whole_response:
        out << tag() << " AUTHENTICATE PLAIN ";
        out.plain(user_, password_);
        out << "\r\n";
        break;
    case State::whole_login:
        out << tag() << " LOGIN ";
        if (can_be_quoted(user_) && can_be_quoted(password_)) {
            out.quoted(user_);
            out << " ";
            out.quoted(password_);
        } else {
            out << literal(user_, "+") << user_ << " " << literal(password_, "+") << password_;
        }
        out << "\r\n";
        break;
    case State::user_size: out << tag() << " LOGIN " << literal(user_, ""); break;
    case State::password_size: out << user_ << " " << literal(password_, ""); break;
    case State::password: out << password_ << "\r\n"; break;
    case State::response:
        out.plain(user_, password_);
        out << "\r\n";
        break;
    case State::greeting:
    case State::tls:
    case State::ready:
    case State::decided: break;
    }
    return out.written();
}

std::string Dialogue::logout()
{
    ++commands_;
    return tag() + " LOGOUT\r\n";
}

void Dialogue::unavailable(std::string reason)
{
    decide({Verdict::unavailable, std::move(reason)});
}

void Dialogue::decide(Decision decision)
{
    state_ = State::decided;
    is_to_send_ = false;
    user_ = password_ = {};
    decision_ = std::move(decision);
}

} // namespace postern::imap
