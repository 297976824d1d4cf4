// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"

#include <strings.h>

#include <algorithm>
#include <array>

namespace postern {

namespace {

constexpr std::array sasldb_options{
    BackendOption{"sasldb_path", "/etc/sasldb2", "FILE",
                  "the database that saslpasswd2 and postern passwd write"},
};

constexpr std::array types{
    BackendType{"sasldb", "the local database of Cyrus SASL (Berkeley DB)", sasldb_options,
                WorkerUser::postern, "sasl", WorkerLoad::computes},
#ifdef POSTERN_TESTING
    BackendType{"fault",
                "does on order what a broken backend does (tests only)",
                {},
                WorkerUser::postern,
                "",
                WorkerLoad::waits},
#endif
};

} // namespace

std::span<const BackendType> backend_types() noexcept
{
    return types;
}

const BackendType* find_backend_type(std::string_view name) noexcept
{
    const auto found = std::ranges::find_if(types, [name](const BackendType& type) {
        return type.name.size() == name.size() &&
               ::strncasecmp(type.name.data(), name.data(), name.size()) == 0;
    });
    return found == types.end() ? nullptr : &*found;
}

} // namespace postern
