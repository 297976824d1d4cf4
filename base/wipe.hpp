// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sodium.h>

#include <span>

namespace postern {

/// Wipes borrowed bytes at the end of their use, however it ends: a part of a buffer that is used again.
///
/// What has a slot of its own is a Secret.
class Wipe {
public:
    explicit Wipe(std::span<char> bytes) noexcept : bytes_{bytes} {}
    Wipe(const Wipe&) = delete;
    Wipe& operator=(const Wipe&) = delete;
    ~Wipe() { sodium_memzero(bytes_.data(), bytes_.size()); }

private:
    std::span<char> bytes_;
};

} // namespace postern
