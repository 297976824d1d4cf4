// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace postern {

/// A Kerberos realm of a test: MIT's own krb5kdc with a database of its own, on a port of the loopback
/// interface, and the krb5.conf of its clients. Stopped and removed at the end.
class Kdc {
public:
    static constexpr const char* realm = "EXAMPLE.TEST";
    static constexpr const char* host_principal = "host/mail.postern.test";

    /// Serves already, and is the one whom this process asks.
    Kdc();
    Kdc(const Kdc&) = delete;
    Kdc& operator=(const Kdc&) = delete;
    ~Kdc();

    /// This process reads this realm's krb5.conf from now on.
    void be_asked() const;

    void start();
    void stop();

    void add(const std::string& principal, const std::string& password,
             const std::vector<std::string>& options = {}) const;
    void add_with_random_key(const std::string& principal) const;
    void kadmin(std::vector<std::string> arguments) const;

    /// Makes new keys for the principal and writes them there, beside those that are.
    void write_keytab(const std::string& file, const std::string& principal) const;

    /// Of this realm, with the key of host_principal.
    [[nodiscard]] std::string keytab() const { return directory_.file("keytab"); }

private:
    void run(const std::string& program, std::vector<std::string> arguments) const;
    void point_out() const;
    void write_files() const;
    [[nodiscard]] bool answers() const;

    TemporaryDirectory directory_;
    UniqueFd port_holder_; ///< nobody else gets the port while the KDC is down
    std::uint16_t port_ = 0;
    pid_t process_ = 0;
};

} // namespace postern
