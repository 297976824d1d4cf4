// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <string>

namespace postern {

/// A UNIX socket that clients connect to, in the place of one that a dead daemon left there. Its mode is
/// 0777: the directory guards it. Its name is removed with the object.
class ListeningSocket {
public:
    /// Throws std::system_error, also when `path` is longer than a socket's address can be.
    explicit ListeningSocket(std::string path);
    ListeningSocket(ListeningSocket&&) = default;
    ListeningSocket& operator=(ListeningSocket&&) = delete;
    ~ListeningSocket();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

private:
    std::string path_;
    UniqueFd socket_;
};

} // namespace postern
