// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#include <algorithm>

// g++ has them without their header, sanitizer/allocator_interface.h.
extern "C" {
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                              void (*on_free)(const volatile void*));
std::size_t __sanitizer_get_allocated_size(const volatile void* piece);
}
#else
#include <malloc.h>
#endif

namespace postern {

/// How much memory the process has taken since the meter was made, as glibc's malloc counts it: with what it
/// adds to each piece. AddressSanitizer has a malloc of its own, and there it is reckoned up. One at a time.
class MallocMeter {
public:
    MallocMeter()
    {
#ifdef __SANITIZE_ADDRESS__
        [[maybe_unused]] static const int installed = __sanitizer_install_malloc_and_free_hooks(
            [](const volatile void*, std::size_t size) { taken += chunk(size); },
            [](const volatile void* piece) {
                if (piece != nullptr)
                    taken -= chunk(__sanitizer_get_allocated_size(piece));
            });
#endif
        before_ = now();
    }

    [[nodiscard]] std::size_t grown() const
    {
        return now() - before_;
    }

private:
#ifdef __SANITIZE_ADDRESS__
    static std::size_t now()
    {
        return taken;
    }

    /// Eight bytes more, in sixteens, thirty-two at least: what a 64-bit glibc takes.
    static std::size_t chunk(std::size_t size)
    {
        return std::max<std::size_t>(32, (size + 8 + 15) / 16 * 16);
    }

    static inline std::size_t taken = 0;
#else
    static std::size_t now()
    {
        const struct mallinfo2 info = ::mallinfo2();
        return info.uordblks + info.hblkhd;
    }
#endif

    std::size_t before_ = 0;
};

} // namespace postern
