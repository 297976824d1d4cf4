// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/temporary_directory.hpp"

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace postern {

/// Debian's Dovecot as an IMAP server of its own, on ports of the loopback interface that were free: plain
/// with STARTTLS on one, TLS from the start on the other. Its certificate is for `localhost`. Needs root.
class DovecotImap {
public:
    using Users = std::vector<std::pair<std::string, std::string>>;

    /// Started, and ready. `more` is added to its configuration.
    explicit DovecotImap(const Users& users, const std::string& more = "");
    DovecotImap(const DovecotImap&) = delete;
    DovecotImap& operator=(const DovecotImap&) = delete;
    ~DovecotImap();

    void start();
    /// Until it is gone, and with it all connections.
    void stop();
    /// As an admin does it: processes of the old one stay with the connections that they have.
    void restart();

    [[nodiscard]] std::string host() const { return "localhost/" + std::to_string(port_); }

    [[nodiscard]] std::string tls_host() const { return "localhost/" + std::to_string(tls_port_); }

    /// The same, but the connection does not come from the server's own address, which Dovecot takes for a
    /// safe one.
    [[nodiscard]] std::string remote_host() const { return "127.0.0.2/" + std::to_string(port_); }

    [[nodiscard]] std::string ca_file() const { return directory_.file("certificate"); }

private:
    TemporaryDirectory directory_;
    int port_;
    int tls_port_;
    pid_t pid_ = -1;
    std::vector<pid_t> groups_; ///< of masters that have ended
};

/// A port of the loopback interface on which nobody listens.
[[nodiscard]] int free_port();

} // namespace postern
