// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sasl_conn;
struct sasl_callback;

/// Debian's libsasl2 with its own plug-ins, both sides of an exchange in one process.
namespace postern {

/// A step of an exchange: what is to be sent, and whether its maker believes the other side now.
struct SaslStep {
    bool is_refused = false;
    bool is_done = false;
    std::string message;
};

struct CloseSasl {
    void operator()(sasl_conn* connection) const noexcept;
};

/// A mail server that reads that sasldb itself (auxprop).
class CyrusServer {
public:
    /// `generates_scram`: the passwords that it sets get a verifier too (scram_secret_generate).
    explicit CyrusServer(const std::string& sasldb, bool generates_scram = false);
    CyrusServer(CyrusServer&&) = delete;
    ~CyrusServer();

    [[nodiscard]] SaslStep start(const std::string& mechanism, std::string_view message);
    [[nodiscard]] SaslStep step(std::string_view message);
    /// Sets a password as saslpasswd2 does, or as its -n does (no userPassword).
    void set_password(const std::string& user, const std::string& password, bool is_kept_plain = true);

private:
    std::unique_ptr<sasl_conn, CloseSasl> connection_;
};

/// A mail client that knows a name and a password.
class CyrusClient {
public:
    CyrusClient(std::string user, std::string password);
    CyrusClient(CyrusClient&&) = delete;
    ~CyrusClient();

    [[nodiscard]] SaslStep start(const std::string& mechanism);
    [[nodiscard]] SaslStep step(std::string_view message);

private:
    struct Login;
    std::unique_ptr<Login> login_;
    std::unique_ptr<sasl_conn, CloseSasl> connection_;
};

/// Lets both talk until one has had enough. Whether both believe each other then.
[[nodiscard]] bool log_in(CyrusClient& client, CyrusServer& server, const std::string& mechanism);

} // namespace postern
