// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/cyrus_sasl.hpp"

#include <sasl/sasl.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <vector>

namespace postern {

namespace {

using Callback = int (*)();

/// Every callback has a type of its own, and libsasl2 takes this one.
template <typename Function>
Callback as_callback(Function* function)
{
    return reinterpret_cast<Callback>(reinterpret_cast<void*>(function)); // NOLINT
}

void expect(int status, const char* doing)
{
    if (status < SASL_OK)
        throw std::runtime_error{std::string{doing} + ": " + ::sasl_errstring(status, nullptr, nullptr)};
}

SaslStep outcome(int status, const char* bytes, unsigned size)
{
    if (status != SASL_OK && status != SASL_CONTINUE)
        return {true, false, ""};
    return {false, status == SASL_OK,
            std::string{bytes == nullptr ? "" : bytes, bytes == nullptr ? 0 : size}};
}

/// What would be in /etc/sasl2/smtpd.conf.
std::map<std::string, std::string, std::less<>>& settings()
{
    static std::map<std::string, std::string, std::less<>> of_this_process;
    return of_this_process;
}

int get_option(void* /*context*/, const char* /*plugin*/, const char* option, const char** value,
               unsigned* size)
{
    const auto found = settings().find(std::string_view{option});
    if (found == settings().end())
        return SASL_FAIL;
    *value = found->second.c_str();
    if (size != nullptr)
        *size = static_cast<unsigned>(found->second.size());
    return SASL_OK;
}

const sasl_callback_t* server_callbacks()
{
    static const std::array callbacks{sasl_callback_t{SASL_CB_GETOPT, as_callback(get_option), nullptr},
                                      sasl_callback_t{SASL_CB_LIST_END, nullptr, nullptr}};
    return callbacks.data();
}

} // namespace

void CloseSasl::operator()(sasl_conn* connection) const noexcept
{
    ::sasl_dispose(&connection);
}

CyrusServer::CyrusServer(const std::string& sasldb, bool generates_scram)
{
    settings() = {{"sasldb_path", sasldb}, {"auxprop_plugin", "sasldb"}};
    if (generates_scram)
        settings().emplace("scram_secret_generate", "yes");
    expect(::sasl_server_init(server_callbacks(), "postern-test"), "sasl_server_init");
    sasl_conn_t* connection = nullptr;
    expect(::sasl_server_new("smtp", "mail.example.org", "example.org", nullptr, nullptr, nullptr, 0,
                             &connection),
           "sasl_server_new");
    connection_.reset(connection);
}

CyrusServer::~CyrusServer()
{
    connection_.reset();
    ::sasl_server_done();
}

SaslStep CyrusServer::start(const std::string& mechanism, std::string_view message)
{
    const char* reply = nullptr;
    unsigned size = 0;
    const int status =
        ::sasl_server_start(connection_.get(), mechanism.c_str(), message.empty() ? nullptr : message.data(),
                            static_cast<unsigned>(message.size()), &reply, &size);
    return outcome(status, reply, size);
}

SaslStep CyrusServer::step(std::string_view message)
{
    const char* reply = nullptr;
    unsigned size = 0;
    const int status = ::sasl_server_step(connection_.get(), message.data(),
                                          static_cast<unsigned>(message.size()), &reply, &size);
    return outcome(status, reply, size);
}

void CyrusServer::set_password(const std::string& user, const std::string& password, bool is_kept_plain)
{
    const unsigned flags = SASL_SET_CREATE | (is_kept_plain ? 0U : unsigned{SASL_SET_NOPLAIN});
    expect(::sasl_setpass(connection_.get(), user.c_str(), password.data(),
                          static_cast<unsigned>(password.size()), nullptr, 0, flags),
           "sasl_setpass");
}

/// What the callbacks tell.
struct CyrusClient::Login {
    Login(std::string name, const std::string& password)
        : user{std::move(name)}, memory(sizeof(sasl_secret_t) + password.size())
    {
        secret()->len = password.size();
        std::memcpy(secret()->data, password.data(), password.size());
    }

    sasl_secret_t* secret() { return reinterpret_cast<sasl_secret_t*>(memory.data()); }

    static int tell_name(void* context, int /*id*/, const char** name, unsigned* size)
    {
        const Login& login = *static_cast<Login*>(context);
        *name = login.user.c_str();
        if (size != nullptr)
            *size = static_cast<unsigned>(login.user.size());
        return SASL_OK;
    }

    static int tell_password(sasl_conn_t* /*connection*/, void* context, int /*id*/, sasl_secret_t** password)
    {
        *password = static_cast<Login*>(context)->secret();
        return SASL_OK;
    }

    std::string user;
    std::vector<char> memory;
    std::array<sasl_callback_t, 3> callbacks{
        sasl_callback_t{SASL_CB_AUTHNAME, as_callback(tell_name), this},
        sasl_callback_t{SASL_CB_PASS, as_callback(tell_password), this},
        sasl_callback_t{SASL_CB_LIST_END, nullptr, nullptr},
    };
};

CyrusClient::CyrusClient(std::string user, std::string password)
    : login_{std::make_unique<Login>(std::move(user), password)}
{
    expect(::sasl_client_init(nullptr), "sasl_client_init");
    sasl_conn_t* connection = nullptr;
    expect(::sasl_client_new("smtp", "mail.example.org", nullptr, nullptr, login_->callbacks.data(), 0,
                             &connection),
           "sasl_client_new");
    connection_.reset(connection);
}

CyrusClient::~CyrusClient()
{
    connection_.reset();
    ::sasl_client_done();
}

SaslStep CyrusClient::start(const std::string& mechanism)
{
    const char* message = nullptr;
    unsigned size = 0;
    const int status =
        ::sasl_client_start(connection_.get(), mechanism.c_str(), nullptr, &message, &size, nullptr);
    return outcome(status, message, size);
}

SaslStep CyrusClient::step(std::string_view message)
{
    const char* reply = nullptr;
    unsigned size = 0;
    const int status = ::sasl_client_step(connection_.get(), message.data(),
                                          static_cast<unsigned>(message.size()), nullptr, &reply, &size);
    return outcome(status, reply, size);
}

bool log_in(CyrusClient& client, CyrusServer& server, const std::string& mechanism)
{
    SaslStep from_client = client.start(mechanism);
    SaslStep from_server = server.start(mechanism, from_client.message);
    while (!from_client.is_refused && !from_server.is_refused) {
        if (!from_server.message.empty())
            from_client = client.step(from_server.message);
        if (from_server.is_done || from_client.is_refused)
            return !from_client.is_refused && from_client.is_done;
        from_server = server.step(from_client.message);
    }
    return false;
}

} // namespace postern
