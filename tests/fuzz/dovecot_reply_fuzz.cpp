// SPDX-License-Identifier: BSD-2-Clause

// Whatever a server of the Dovecot protocol says, and in whatever pieces it comes, a client hears the same.
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/dovecot_wire.hpp"

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzInput input{data, size};
    const bool is_greeted = input.take_number() % 2 != 0;
    const std::size_t piece_bytes = 1 + input.take_number();
    const std::string greeting = is_greeted ? "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nDONE\n" : "";
    const std::string bytes = greeting + std::string{input.rest()};

    DovecotClient whole;
    DovecotClient pieces;
    const auto heard = whole.hear(bytes, bytes.size());
    promise(heard == pieces.hear(bytes, piece_bytes), "pieces mean nothing");
    promise(whole.side.offers().size() <= dovecot::ClientSide::offers_max, "offers have a bound");
    for (const auto& offer : whole.side.offers())
        promise(whole.side.has_offered(offer.name), "what is offered is found");
    for (const std::string& text : heard)
        promise(text == "greeted" || text.starts_with("unusable: ") || !whole.side.offers().empty(),
                "a server that offers nothing says nothing");
    return 0;
}
