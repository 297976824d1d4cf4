// SPDX-License-Identifier: BSD-2-Clause

// Whatever stands where a verifier belongs: it is refused, or it is read, and what is written of it is read
// as the same again.
#include "backends/stores/scram_verifier.hpp"
#include "protocol/verdict.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>
#include <string>

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static SecretArena arena{64, 2};
    const std::string_view text = FuzzInput{data, size}.rest();
    const auto verifier = ScramVerifier::parse(text);
    if (!verifier)
        return 0;
    const std::string written = verifier->text();
    const auto again = ScramVerifier::parse(written);
    promise(again && again->text() == written, "what is written is read as the same");
    promise(written.size() <= text.size(), "nothing is read that does not stand there");
    promise(verifier->iterations() > 0 && verifier->iterations() <= scram_iterations_max,
            "the work has its bounds");
    promise(verifier->challenge().size() <= decision_reply_bytes_max, "a challenge fits in a decision");
    for (const std::size_t bytes : std::array<std::size_t, 4>{0, 20, 32, 33})
        promise(!verifier->prove("transcript", Secret{arena, std::string(bytes, 'p')}),
                "no guess proves anything");
    return 0;
}
