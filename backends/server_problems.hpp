// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/servers.hpp"

#include <stdexcept>

/// Why a server of several was not asked. Their texts are for the log and hold no password.
namespace postern {

/// A server could not be asked: another one may do better. Whether this one has failed nobody can tell.
class Unasked : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;

    /// Tells the front what it is to think of the server.
    virtual void tell(Servers&, std::size_t) const noexcept {}
};

/// It was silent, perhaps because of who logs in.
class ServerDoubt final : public Unasked {
public:
    using Unasked::Unasked;

    void tell(Servers& servers, std::size_t server) const noexcept override { servers.doubt(server, what()); }
};

/// That is its fault.
class ServerProblem : public Unasked {
public:
    using Unasked::Unasked;

    void tell(Servers& servers, std::size_t server) const noexcept override
    {
        servers.failed(server, what());
    }
};

} // namespace postern
