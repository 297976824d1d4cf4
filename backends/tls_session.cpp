// SPDX-License-Identifier: BSD-2-Clause
//
// OpenSSL, and nothing else of the tree knows it. It works on memory, so that the sockets, their deadlines
// and their signals stay ours.
//
// What is written is copied into OpenSSL's record buffer and encrypted there, in place; what is read is wiped
// behind the reader (SSL_OP_CLEANSE_PLAINTEXT). That no other copy of a password is made in there, nobody
// promises: it is one reason why a worker does nothing else, cannot be dumped, and is replaced now and then.
#include "backends/tls_session.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <limits>
#include <system_error>

namespace postern {

namespace {

/// The oldest error is the cause. Leaves none for the next call.
std::string openssl_problem()
{
    const unsigned long error = ::ERR_get_error();
    ::ERR_clear_error();
    if (error == 0)
        return "no reason given";
    if (ERR_SYSTEM_ERROR(error) != 0)
        return std::generic_category().message(ERR_GET_REASON(error));
    const char* const text = ::ERR_reason_error_string(error);
    return text == nullptr ? "error " + std::to_string(error) : text;
}

bool is_address(const std::string& host)
{
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

/// A name in DNS may end in a dot, in a certificate it does not.
std::string without_last_dot(std::string host)
{
    if (host.ends_with('.'))
        host.pop_back();
    return host;
}

int as_size(std::size_t bytes)
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        throw TlsError{"too much at once"};
    return static_cast<int>(bytes);
}

} // namespace

void TlsTrust::Free::operator()(ssl_ctx_st* context) const noexcept
{
    ::SSL_CTX_free(context);
}

void TlsSession::Free::operator()(ssl_st* session) const noexcept
{
    ::SSL_free(session);
}

TlsTrust::TlsTrust(const std::string& ca_file) : context_{::SSL_CTX_new(::TLS_client_method())}
{
    if (!context_)
        throw TlsError{"OpenSSL: " + openssl_problem()};
    ::SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    ::SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    ::SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_options(context_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
    const bool is_loaded = ca_file.empty() ? ::SSL_CTX_set_default_verify_paths(context_.get()) == 1
                                           : ::SSL_CTX_load_verify_file(context_.get(), ca_file.c_str()) == 1;
    if (!is_loaded)
        throw TlsError{(ca_file.empty() ? "the host's certificates" : ca_file) + ": " + openssl_problem()};
}

TlsSession::TlsSession(const TlsTrust& trust, const std::string& host)
    : session_{::SSL_new(trust.context_.get())}
    , from_wire_{::BIO_new(::BIO_s_mem())}
    , to_wire_{::BIO_new(::BIO_s_mem())}
{
    if (!session_ || from_wire_ == nullptr || to_wire_ == nullptr) {
        ::BIO_free(from_wire_);
        ::BIO_free(to_wire_);
        throw TlsError{"OpenSSL: " + openssl_problem()};
    }
    ::SSL_set_bio(session_.get(), from_wire_, to_wire_);
    ::SSL_set_connect_state(session_.get());
    X509_VERIFY_PARAM* const checks = ::SSL_get0_param(session_.get());
    ::X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const std::string name = without_last_dot(host);
    const bool is_set = is_address(name) ? ::X509_VERIFY_PARAM_set1_ip_asc(checks, name.c_str()) == 1
                                         : ::SSL_set1_host(session_.get(), name.c_str()) == 1 &&
                                               ::SSL_set_tlsext_host_name(session_.get(), name.c_str()) == 1;
    if (!is_set || name.empty())
        throw TlsError{"'" + host + "' is no name that a certificate can be for"};
}

void TlsSession::receive(std::string_view bytes)
{
    if (::BIO_write(from_wire_, bytes.data(), as_size(bytes.size())) != as_size(bytes.size()))
        throw TlsError{"OpenSSL: " + openssl_problem()};
}

std::string_view TlsSession::outgoing() const
{
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(to_wire_, &bytes);
    return {bytes, size > 0 ? static_cast<std::size_t>(size) : 0};
}

void TlsSession::forget_outgoing()
{
    static_cast<void>(BIO_reset(to_wire_));
}

bool TlsSession::handshake()
{
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(session_.get());
    if (result == 1)
        return true;
    if (::SSL_get_error(session_.get(), result) != SSL_ERROR_WANT_READ)
        throw_problem("TLS could not be begun");
    return false;
}

std::size_t TlsSession::read(std::span<char> memory)
{
    ::ERR_clear_error();
    std::size_t bytes = 0;
    const int result = ::SSL_read_ex(session_.get(), memory.data(), memory.size(), &bytes);
    if (result == 1)
        return bytes;
    const int error = ::SSL_get_error(session_.get(), result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN)
        throw_problem("TLS");
    return 0;
}

bool TlsSession::has_ended() const
{
    return (::SSL_get_shutdown(session_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

void TlsSession::write(std::string_view bytes)
{
    ::ERR_clear_error();
    std::size_t written = 0;
    if (::SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &written) != 1 || written != bytes.size())
        throw_problem("TLS");
}

void TlsSession::throw_problem(const std::string& what) const
{
    const long check = ::SSL_get_verify_result(session_.get());
    const std::string problem = openssl_problem();
    if (check == X509_V_OK)
        throw TlsError{what + ": " + problem};
    throw TlsError{what + ": the certificate was refused: " + ::X509_verify_cert_error_string(check)};
}

} // namespace postern
