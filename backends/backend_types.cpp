// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"

#include <strings.h>

#include <algorithm>
#include <array>
#include <thread>

namespace postern {

namespace {

constexpr std::array sasldb_options{
    BackendOption{"sasldb_path", "/etc/sasldb2", "FILE",
                  "the database that saslpasswd2 and postern passwd write", OptionKind::file},
};

constexpr std::array pam_options{
    BackendOption{"pam_keep_loaded", "yes", "yes|no",
                  "whether a worker keeps the libraries of PAM stacks in memory", OptionKind::boolean},
};

#ifdef POSTERN_TESTING
constexpr std::array fault_options{
    BackendOption{"fault_password", "good", "PASSWORD", "the password that it accepts", OptionKind::secret},
};
#endif

constexpr std::array types{
    BackendType{"getpwent",
                "the password hashes in /etc/passwd, where a host still has them there",
                {},
                WorkerUser::root,
                "",
                WorkerLoad::computes},
    BackendType{"pam", "the host's PAM stacks; the service is that of the login", pam_options,
                WorkerUser::root, "", WorkerLoad::waits},
    BackendType{"sasldb", "the local database of Cyrus SASL (Berkeley DB)", sasldb_options,
                WorkerUser::postern, "sasl", WorkerLoad::computes},
    BackendType{"shadow",
                "the password hashes and expiry dates in /etc/shadow",
                {},
                WorkerUser::root,
                "",
                WorkerLoad::computes},
#ifdef POSTERN_TESTING
    BackendType{"fault", "does on order what a broken backend does (tests only)", fault_options,
                WorkerUser::postern, "", WorkerLoad::waits},
#endif
};

} // namespace

std::span<const BackendType> backend_types() noexcept
{
    return types;
}

std::uint32_t default_workers_max(const BackendType& type) noexcept
{
    constexpr std::uint32_t for_those_who_wait = 64;
    const std::uint32_t processors = std::max(1U, std::thread::hardware_concurrency());
    return type.load == WorkerLoad::computes ? 2 * processors : for_those_who_wait;
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
