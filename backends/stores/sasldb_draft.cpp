// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/sasldb_draft.hpp"

#include <db.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <vector>

namespace postern::sasldb {

namespace {

std::string directory_of(const std::string& path)
{
    const auto directory = std::filesystem::path{path}.parent_path();
    return directory.empty() ? "." : directory.string();
}

} // namespace

void refuse_directory_of_others(const std::string& path)
{
    if (::geteuid() != 0)
        return;

    struct stat status {};

    const std::string directory = directory_of(path);
    if (::stat(directory.c_str(), &status) != 0)
        fail_errno(path, "its directory cannot be opened");
    if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        fail(path, "others than root can write to its directory, where root writes nothing: it should belong "
                   "to root and be writable by nobody else");
}

Draft::SignalsHeldBack::SignalsHeldBack()
{
    sigset_t held{};
    ::sigemptyset(&held);
    for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM})
        ::sigaddset(&held, signal);
    ::pthread_sigmask(SIG_BLOCK, &held, &before_);
}

Draft::SignalsHeldBack::~SignalsHeldBack()
{
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

Draft::Draft(const std::string& target, Name name)
    : target_{target}, directory_{::open(directory_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)}
{
    if (!directory_.is_open())
        fail_errno(target, "its directory cannot be opened");
    file_ = make_file(name);
    if (!file_.is_open())
        fail_errno(target, "no new file can be made in its directory");
    database_ = make_database(path_);
    if (const int error = open_database(*database_, path_, DB_CREATE | DB_TRUNCATE); error != 0) {
        ::unlink(path_.c_str());
        fail(target_, "no new database can be made: " + database_problem(error));
    }
}

UniqueFd Draft::make_file(Name name)
{
    path_ = directory_of(target_) + "/." + std::filesystem::path{target_}.filename().string();
    if (name == Name::random)
        return UniqueFd{::mkostemp((path_ += ".XXXXXX").data(), O_CLOEXEC)};
    path_ += ".new";
    ::unlink(path_.c_str());
    return UniqueFd{::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
}

Draft::~Draft()
{
    database_.reset();
    if (!path_.empty())
        ::unlink(path_.c_str());
}

void Draft::put(std::string_view key, std::string_view value)
{
    DBT name = input(key);
    DBT content = input(value);
    if (const int error = database_->put(database_.get(), nullptr, &name, &content, DB_NOOVERWRITE);
        error != 0)
        fail(target_, "an entry cannot be written to the new database: " + std::string{::db_strerror(error)});
}

void Draft::complete()
{
    DB* const database = database_.release();
    if (const int error = database->close(database, 0); error != 0)
        fail(target_, "the new database cannot be written: " + std::string{::db_strerror(error)});
    if (::fsync(file_.get()) != 0)
        fail_errno(target_, "the new database cannot be written");

    struct stat status {};

    if (::fstat(file_.get(), &status) != 0 || verify(path_, status.st_size) != 0)
        fail(target_, "the new database is not what was written");
}

/// Without it the group's bits would mean something else.
void Draft::copy_access_list(int from)
{
    std::vector<char> list(XATTR_SIZE_MAX);
    const ssize_t size = ::fgetxattr(from, access_list_attribute, list.data(), list.size());
    if (size < 0 && (errno == ENODATA || errno == ENOTSUP))
        return remove_access_list(target_, file_.get());
    if (size < 0 ||
        ::fsetxattr(file_.get(), access_list_attribute, list.data(), static_cast<std::size_t>(size), 0) != 0)
        fail_errno(target_, "its access list cannot be kept");
}

void Draft::take_access_of(int old)
{
    struct stat status {};

    if (::fstat(old, &status) != 0)
        fail_errno(target_, "cannot be examined");
    if (::fchown(file_.get(), status.st_uid, status.st_gid) != 0)
        fail_errno(target_, "its owner cannot be kept");
    copy_access_list(old);
    if (::fchmod(file_.get(), status.st_mode & 07777U) != 0)
        fail_errno(target_, "its mode cannot be kept");
}

void Draft::give_first_access()
{
    const group* const sasl = ::geteuid() == 0 ? ::getgrnam("sasl") : nullptr;
    if (sasl == nullptr)
        return; // 0600, as it was made
    remove_access_list(target_, file_.get());
    if (::fchown(file_.get(), 0, sasl->gr_gid) != 0 || ::fchmod(file_.get(), 0640) != 0)
        fail_errno(target_, "its owner and mode cannot be set");
}

/// What the name leads to must be what was filled, though libdb knows no more than names.
void Draft::refuse_another_file() const
{
    struct stat ours {};
    struct stat there {};

    if (::fstat(file_.get(), &ours) != 0 || ::lstat(path_.c_str(), &there) != 0 ||
        ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
        fail(target_, "the new database was taken away by another program before it was in its place");
}

void Draft::replace_target()
{
    refuse_another_file();
    if (::rename(path_.c_str(), target_.c_str()) != 0)
        fail_errno(target_, "cannot be replaced");
    published();
}

bool Draft::become_target()
{
    refuse_another_file();
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) {
        published();
        return true;
    }
    if (errno != EEXIST)
        fail_errno(target_, "cannot be created");
    return false;
}

void Draft::published() noexcept
{
    path_.clear();
    static_cast<void>(::fsync(directory_.get())); // it has happened; an error would only say the opposite
}

} // namespace postern::sasldb
