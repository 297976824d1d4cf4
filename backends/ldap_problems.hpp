// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <stdexcept>

/// Why a directory was not asked. Their texts are for the log and hold no password.
namespace postern {

/// A server could not be asked: another one may do better. Whether this one has failed nobody can tell.
class Unasked : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// It was silent, perhaps because of who logs in.
class ServerDoubt final : public Unasked {
public:
    using Unasked::Unasked;
};

/// That is its fault.
class ServerProblem : public Unasked {
public:
    using Unasked::Unasked;
};

/// It did not answer in time.
class ServerSilence final : public ServerProblem {
public:
    using ServerProblem::ServerProblem;
};

/// The server has closed the connection, perhaps long ago.
class ConnectionLost final : public ServerProblem {
public:
    using ServerProblem::ServerProblem;
};

} // namespace postern
