// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/temporary_directory.hpp"

#include <string>

namespace postern {

/// A passwd and a shadow file that stand for the host's while the object lives: account_files.cpp has the
/// functions that backends find before libc's.
class AccountFiles {
public:
    AccountFiles();
    AccountFiles(const AccountFiles&) = delete;
    AccountFiles& operator=(const AccountFiles&) = delete;
    ~AccountFiles();

    /// Lines without the user's name and the colon behind it.
    void add_passwd(const std::string& user, const std::string& hash) const;
    void add_shadow(const std::string& user, const std::string& fields) const;

    [[nodiscard]] std::string passwd() const { return directory_.file("passwd"); }

    [[nodiscard]] std::string shadow() const { return directory_.file("shadow"); }

private:
    TemporaryDirectory directory_;
};

/// A hash that costs little.
[[nodiscard]] std::string cheap_hash(const std::string& password);

} // namespace postern
