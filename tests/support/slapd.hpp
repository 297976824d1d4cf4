// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/temporary_directory.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

/// What a test's directory is made of, besides what every one has.
struct SlapdSetup {
    std::string entries{};        ///< LDIF, below dc=example,dc=org
    std::string global_lines{};   ///< of slapd.conf
    std::string database_lines{}; ///< the same, for the database
    bool has_tls = false; ///< ldaps and StartTLS, with a certificate for 127.0.0.1 (libldap takes localhost
                          ///< for the host's name)
};

/// A real slapd with a database of its own, on a free port and on a UNIX socket, in a process of its own that
/// ends with the object. Its suffix is dc=example,dc=org, its administrator
/// cn=root,dc=example,dc=org with the password root.
class Slapd {
public:
    /// Throws when it does not answer.
    explicit Slapd(const SlapdSetup& setup);
    Slapd(const Slapd&) = delete;
    Slapd& operator=(const Slapd&) = delete;
    ~Slapd() { kill(); }

    [[nodiscard]] std::string uri() const { return "ldap://127.0.0.1:" + std::to_string(port_) + "/"; }
    [[nodiscard]] std::string ldaps_uri() const
    {
        return "ldaps://127.0.0.1:" + std::to_string(tls_port_) + "/";
    }
    [[nodiscard]] std::string ldapi_uri() const;
    [[nodiscard]] std::string ca_file() const { return directory_.file("ca.pem"); }

    /// How often its log has that text so far: what it was asked.
    [[nodiscard]] std::size_t times_logged(std::string_view text) const;

    /// Until it has it that often.
    void wait_for_log(std::string_view text, std::size_t times) const;

    void stop() const;
    void go_on() const;
    void kill();
    void start();

private:
    void write_files(const SlapdSetup& setup);
    void make_certificates();
    [[nodiscard]] bool answers() const;
    [[nodiscard]] std::string log_file() const { return directory_.file("log"); }

    TemporaryDirectory directory_;
    bool has_tls_;
    std::uint16_t port_;
    std::uint16_t tls_port_;
    pid_t pid_ = -1;
};

/// `path` as it is written in an ldapi URI.
[[nodiscard]] std::string ldapi_uri_of(std::string_view path);

} // namespace postern
