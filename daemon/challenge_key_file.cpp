// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/challenge_key_file.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>

namespace postern {

namespace {

ChallengeKey new_key()
{
    ChallengeKey key{};
    randombytes_buf(key.data(), key.size());
    return key;
}

/// Nothing when there is none.
std::optional<ChallengeKey> read_key(const std::string& path)
{
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!file.is_open() && errno == ENOENT)
        return std::nullopt;
    check(file.get(), path.c_str());
    struct stat status {};
    check(::fstat(file.get(), &status), path.c_str());
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077U) != 0)
        throw std::runtime_error{path + ": a file that its owner alone may read was expected"};
    ChallengeKey key{};
    if (status.st_size != static_cast<off_t>(key.size()) ||
        ::read(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()))
        throw std::runtime_error{path + ": 32 bytes were expected"};
    return key;
}

/// Under another name first: half a key is never found. Of two who make one at a time, one wins.
void keep_key(const std::string& directory, const std::string& path, const ChallengeKey& key)
{
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        throw_errno(directory.c_str());
    const std::string name = path + '.' + std::to_string(::getpid());
    ::unlink(name.c_str());
    const UniqueFd file{check(
        ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), name.c_str())};
    const bool is_kept = ::write(file.get(), key.data(), key.size()) == static_cast<ssize_t>(key.size()) &&
                         ::fsync(file.get()) == 0 && ::link(name.c_str(), path.c_str()) == 0;
    const int error = errno;
    ::unlink(name.c_str());
    if (!is_kept && error != EEXIST)
        throw std::system_error{error, std::generic_category(), path};
}

} // namespace

ChallengeKey read_or_make_challenge_key(const std::string& directory, Log& log)
try {
    const std::string path = directory + "/challenge.key";
    if (const auto kept = read_key(path))
        return *kept;
    keep_key(directory, path, new_key());
    if (const auto kept = read_key(path))
        return *kept;
    throw std::runtime_error{path + ": it went as soon as it was made"};

} catch (const std::exception& error) {
    log.warning(std::string{"challenges of users that do not exist will differ after the next start: "} +
                error.what());
    return new_key();
}

const ChallengeKey& HeldChallengeKey::get(const std::string& directory)
{
    if (!key_)
        key_ = read_or_make_challenge_key(directory, log_);
    return *key_;
}

} // namespace postern
