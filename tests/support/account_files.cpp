// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/account_files.hpp"

#include <crypt.h>
#include <pwd.h>
#include <shadow.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

namespace postern {

namespace {

const AccountFiles* current = nullptr;

/// As the name service reads a file: libc's own parser, entry by entry.
template <typename Entry, typename Next>
int find(const std::string& path, const char* user, Entry* entry, Entry** found, char* Entry::*name,
         Next next)
{
    *found = nullptr;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "r"), std::fclose};
    if (!file)
        return errno;
    while (true) {
        Entry* read = nullptr;
        const int error = next(file.get(), &read);
        if (error != 0)
            return error == ENOENT ? 0 : error;
        if (std::strcmp(entry->*name, user) == 0) {
            *found = entry;
            return 0;
        }
    }
}

} // namespace

AccountFiles::AccountFiles()
{
    std::ofstream{passwd()};
    std::ofstream{shadow()};
    current = this;
}

AccountFiles::~AccountFiles()
{
    current = nullptr;
}

void AccountFiles::add_passwd(const std::string& user, const std::string& hash) const
{
    std::ofstream{passwd(), std::ios::app} << user << ':' << hash << ":3000:3000::/:/bin/sh\n";
}

void AccountFiles::add_shadow(const std::string& user, const std::string& fields) const
{
    std::ofstream{shadow(), std::ios::app} << user << ':' << fields << '\n';
}

std::string cheap_hash(const std::string& password)
{
    return ::crypt(password.c_str(), "$6$rounds=1000$postern");
}

} // namespace postern

extern "C" int getpwnam_r(const char* user, passwd* entry, char* memory, std::size_t size, passwd** found)
{
    if (postern::current == nullptr)
        return ENOSYS;
    const auto next = [&](std::FILE* file, passwd** read) {
        return ::fgetpwent_r(file, entry, memory, size, read);
    };
    return postern::find<passwd>(postern::current->passwd(), user, entry, found, &passwd::pw_name, next);
}

extern "C" int getspnam_r(const char* user, spwd* entry, char* memory, std::size_t size, spwd** found)
{
    if (postern::current == nullptr)
        return ENOSYS;
    const auto next = [&](std::FILE* file, spwd** read) {
        return ::fgetspent_r(file, entry, memory, size, read);
    };
    return postern::find<spwd>(postern::current->shadow(), user, entry, found, &spwd::sp_namp, next);
}
