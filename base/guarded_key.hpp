// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sodium.h>

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>

namespace postern {

/// Random bytes, made once, that live as long as the process and are in no file: between guard pages,
/// read-only, locked into RAM where the limits allow it, and wiped at the end (sodium_malloc). Expensive: for
/// a few.
template <std::size_t size>
class GuardedKey {
public:
    /// Throws std::bad_alloc.
    GuardedKey()
    {
        if (sodium_init() < 0)
            throw std::runtime_error{"libsodium cannot be initialised"};
        bytes_.reset(static_cast<unsigned char*>(sodium_malloc(size)));
        if (!bytes_)
            throw std::bad_alloc{};
        randombytes_buf(bytes_.get(), size);
        sodium_mprotect_readonly(bytes_.get());
    }

    [[nodiscard]] const unsigned char* data() const noexcept { return bytes_.get(); }

private:
    struct Free {
        void operator()(unsigned char* bytes) const noexcept { sodium_free(bytes); }
    };

    std::unique_ptr<unsigned char, Free> bytes_;
};

} // namespace postern
