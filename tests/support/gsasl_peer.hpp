// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/sasl_exchange.hpp"

#include <gsasl.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace postern {

/// One side of an exchange, as libgsasl plays it.
class GsaslPeer {
public:
    enum class Side : bool { client, server };

    GsaslPeer(Side side, sasl::Mechanism mechanism)
    {
        require(::gsasl_init(&library_));
        ::gsasl_callback_set(library_, answer);
        const std::string name{mechanism_name(mechanism)};
        const auto start = side == Side::client ? ::gsasl_client_start : ::gsasl_server_start;
        require(start(library_, name.c_str(), &session_));
        ::gsasl_session_hook_set(session_, this);
    }
    GsaslPeer(const GsaslPeer&) = delete;
    GsaslPeer& operator=(const GsaslPeer&) = delete;
    ~GsaslPeer()
    {
        if (session_ != nullptr)
            ::gsasl_finish(session_);
        ::gsasl_done(library_);
    }

    GsaslPeer& set(Gsasl_property property, const std::string& value)
    {
        require(::gsasl_property_set(session_, property, value.c_str()));
        return *this;
    }

    /// A server's is that of everybody.
    GsaslPeer& set_password(const std::string& password)
    {
        password_ = password;
        return *this;
    }

    [[nodiscard]] std::string get(Gsasl_property property) const
    {
        const char* const value = ::gsasl_property_fast(session_, property);
        return value == nullptr ? "" : value;
    }

    /// What it says to that; is_content() and is_angry() then tell how it feels.
    std::string step(std::string_view said)
    {
        char* words = nullptr;
        std::size_t size = 0;
        state_ = ::gsasl_step(session_, said.data(), said.size(), &words, &size);
        std::string answer{words == nullptr ? "" : words, words == nullptr ? 0 : size};
        ::gsasl_free(words);
        return answer;
    }

    /// Whether nothing is left to be said or heard.
    [[nodiscard]] bool is_content() const noexcept { return state_ == GSASL_OK; }
    [[nodiscard]] bool is_angry() const noexcept { return !is_content() && state_ != GSASL_NEEDS_MORE; }

private:
    static void require(int code)
    {
        if (code != GSASL_OK)
            throw std::runtime_error{::gsasl_strerror(code)};
    }

    /// A server takes no password that it has not asked for.
    static int answer(Gsasl*, Gsasl_session* session, Gsasl_property property)
    {
        if (property != GSASL_PASSWORD)
            return GSASL_NO_CALLBACK;
        const auto& peer = *static_cast<const GsaslPeer*>(::gsasl_session_hook_get(session));
        return ::gsasl_property_set(session, property, peer.password_.c_str());
    }

    Gsasl* library_ = nullptr;
    Gsasl_session* session_ = nullptr;
    std::string password_;
    int state_ = GSASL_NEEDS_MORE;
};

} // namespace postern
