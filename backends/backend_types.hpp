// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/option_rules.hpp"
#include "backends/realm_use.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace postern {

/// What the value of an option is, so that it can be checked before a worker is started.
enum class OptionKind : std::uint8_t {
    text,
    file,         ///< an absolute path, which the worker must be able to read; or empty
    present_file, ///< the same of a file that must be there when the daemon starts
    boolean,      ///< yes or no; or empty, when that is the default
    number,       ///< from 0 to 2^31 - 1
    duration,     ///< "5s", "500ms", "1m"; a bare number means seconds
    word,         ///< one of BackendOption::words
    servers,      ///< at least one, with blanks or commas between them; one option a type at most
    pairs,        ///< any number of NAME=VALUE, with blanks or commas between them
    port,         ///< of a host: a number or a service's name; or empty, when that is the default
    secret,       ///< taken byte for byte, and never shown
};

/// One option of a backend type. Its key is written `sasldb_path` in a file and `--sasldb-path` as a flag.
struct BackendOption {
    std::string_view key;
    std::string_view default_value;
    std::string_view value_name; ///< for help: "FILE"
    std::string_view help;
    OptionKind kind = OptionKind::text;
    std::string_view alias{}; ///< another name of the key, which files have
    /// The values of a `word`; of `servers`, the schemes of their URIs; of `pairs`, what one is made of.
    std::span<const std::string_view> words{};
};

/// What the flag -O says to a type, as it does to saslauthd's mechanism of that name.
enum class MechOption : std::uint8_t {
    none,           ///< nothing
    saslauthd_conf, ///< the file in which its options are, instead of /etc/saslauthd.conf
    server,         ///< HOST or HOST/PORT, and it is required
};

/// The account whose rights a worker of the type keeps when the daemon was started as root.
enum class WorkerUser : std::uint8_t {
    postern, ///< the daemon's own unprivileged account
    root,
};

/// A piece of an option's value.
struct OptionPiece {
    std::string_view key;
    std::string_view piece; ///< in any case
};

/// A worker that waits for others costs nothing meanwhile; one that computes needs a processor.
enum class WorkerLoad : std::uint8_t { computes, waits };

/// The code behind a backend, as everybody but its own worker knows it.
struct BackendType {
    std::string_view name;
    std::string_view summary;
    std::span<const BackendOption> options;
    WorkerUser user = WorkerUser::postern;
    std::string_view group{}; ///< the worker's group; empty: that of its user
    WorkerLoad load = WorkerLoad::waits;
    MechOption mech_option = MechOption::none;
    /// What saslauthd's mechanism of that name says behind OK and NO, where it is the same for everybody.
    std::string_view accepted_text{};
    std::string_view refused_text{};
    /// When options have all of these pieces, a worker keeps the rights of root whatever `user` says; with
    /// none listed, never.
    std::span<const OptionPiece> root_when{};
    /// SASL's names of the challenge mechanisms that it can serve: Backend::challenge() and prove().
    std::span<const std::string_view> mechanisms{};
    /// Where it keeps accounts on this host, as files, directories (with a slash at the end) or options that
    /// name one: a change there counts at once. Empty: elsewhere.
    std::span<const std::string_view> stores{};
    /// Whether its answer depends on where the client is.
    bool heeds_client = false;
    /// Whether what it accepted may be kept unless the configuration says otherwise: not where a password may
    /// be good for one time.
    bool is_cached_by_default = true;
    /// What its options must not be together; null: there is no such rule.
    OptionRule rule = nullptr;
    /// What it makes of realms; null: RealmUse::in_user, since it looks at the user alone.
    RealmRule realm_rule = nullptr;
};

[[nodiscard]] RealmUse realm_use(const BackendType& type, const BackendOptions& options);

/// The table: every backend type of this build. Configuration check, help and flags are made from it.
[[nodiscard]] std::span<const BackendType> backend_types() noexcept;

/// How many workers a backend of that type may have at a time, unless the configuration says otherwise.
[[nodiscard]] std::uint32_t default_workers_max(const BackendType& type) noexcept;

/// The type of that name, in any case; null when there is none.
[[nodiscard]] const BackendType* find_backend_type(std::string_view name) noexcept;

} // namespace postern
