// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// What a database has of a user: the password, its SCRAM verifier or its hash.
struct SasldbCredential {
    enum class Form : std::uint8_t { plain, scram, argon2id };

    Form form = Form::plain;
    Secret bytes;
};

/// Looks passwords up in a sasldb that others may change or replace at any time.
///
/// Keeps the file open from one look-up to the next and still sees every change at once: the file is
/// examined (stat) before each. It takes no lock, since the tools of Cyrus SASL take none either, and keeps
/// no password itself; libdb keeps the pages it has read until the file is closed. Of an LMDB file it keeps a
/// copy in memory, in place of taking part in liblmdb's locking.
class SasldbReader {
public:
    using WallClock = std::function<std::chrono::system_clock::time_point()>;

    /// Opens nothing yet. `wall_clock` is what the file's times are compared with.
    explicit SasldbReader(std::string path, WallClock wall_clock = std::chrono::system_clock::now);
    SasldbReader(SasldbReader&&) = delete;
    ~SasldbReader();

    /// What counts of `user` in `realm`, byte for byte and case for case; nothing when there is none.
    /// Throws SasldbError when the database cannot be asked, std::bad_alloc when `secrets` has no slot left.
    [[nodiscard]] std::optional<SasldbCredential> credential(std::string_view user, std::string_view realm,
                                                             SecretArena& secrets);

    /// How often the file was opened: what a look-up costs when it is not a cheap one.
    [[nodiscard]] std::size_t times_opened() const noexcept { return times_opened_; }

private:
    struct OpenFile;

    struct LookUp {
        int error = 0; ///< libdb's
        std::optional<SasldbCredential> credential;
    };

    [[nodiscard]] bool is_current() const;
    [[nodiscard]] int reopen();
    [[nodiscard]] LookUp look_up(std::string_view user, std::string_view realm, SecretArena& secrets);
    [[nodiscard]] LookUp read_entry(std::string_view key, SasldbCredential::Form form, SecretArena& secrets);
    [[nodiscard]] int get(std::string_view key, Secret& value);

    std::string path_;
    WallClock wall_clock_;
    std::unique_ptr<OpenFile> file_; ///< null: not open
    std::size_t times_opened_ = 0;
};

} // namespace postern
