// SPDX-License-Identifier: BSD-2-Clause

// Whatever stands where an LMDB file belongs: it is refused, or liblmdb finds its way through it.
#include "backends/stores/lmdb_pages.hpp"
#include "backends/stores/lmdb_snapshot.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "base/posix_error.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <sys/mman.h>
#include <unistd.h>

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static SecretArena arena{1024, 1};
    const std::string_view bytes = FuzzInput{data, size}.rest();
    const bool is_sound = sasldb::is_sound_lmdb(bytes);
    const UniqueFd file{check(::memfd_create("fuzz", MFD_CLOEXEC), "memfd_create")};
    check(::write(file.get(), bytes.data(), bytes.size()), "write");
    try {
        const sasldb::LmdbSnapshot snapshot{"a file", file.get()};
        promise(is_sound, "a damaged file is not opened");
        for (const char* const user : {"", "user1", "user19", "user3", "zz"}) {
            Secret value{arena, {}};
            static_cast<void>(
                snapshot.get(sasldb::entry_key(user, "example.org", "userPassword"), value, 1024));
        }
    } catch (const SasldbError&) {
        return 0;
    }
    return 0;
}
