// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/program.hpp"

#include <stdexcept>
#include <string>

namespace postern {

/// Writes a certificate for `localhost` that is its own authority, and its key.
inline void make_certificate(const std::string& certificate, const std::string& key)
{
    const ProgramRun run = run_program(
        "/usr/bin/openssl", {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                             "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate});
    if (run.status != 0)
        throw std::runtime_error{"openssl: " + run.errors};
}

} // namespace postern
