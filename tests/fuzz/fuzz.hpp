// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// What libFuzzer (or replay_main.cpp) calls with each input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace postern {

/// What a parser promises for every input. A broken promise ends the process, so that the fuzzer keeps the
/// input.
inline void promise(bool is_kept, const char* what)
{
    if (is_kept)
        return;
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

/// Takes what steers a test off the front of the fuzzer's bytes; the rest is for the parser.
class FuzzInput {
public:
    FuzzInput(const std::uint8_t* data, std::size_t size) noexcept
        : bytes_{reinterpret_cast<const char*>(data), size}
    {
    }

    [[nodiscard]] std::string_view rest() const noexcept { return bytes_; }

    [[nodiscard]] std::size_t take_number() noexcept
    {
        if (bytes_.empty())
            return 0;
        const auto number = static_cast<unsigned char>(bytes_.front());
        bytes_.remove_prefix(1);
        return number;
    }

private:
    std::string_view bytes_;
};

} // namespace postern
