// SPDX-License-Identifier: BSD-2-Clause
#include "backends/plugin_loader.hpp"

#include "backends/build_id.hpp"
#include "base/posix_error.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace postern {

UniqueFd open_plugin(const std::string& path)
{
    UniqueFd plugin{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!plugin.is_open())
        throw_errno("plug-in " + path);

    struct stat status {};

    check(::fstat(plugin.get(), &status), "fstat");
    if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != ::geteuid()))
        throw BackendError{"plug-in " + path + " does not belong to root"};
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        throw BackendError{"plug-in " + path + " may be written by others than its owner"};
    return plugin;
}

const Plugin& load_plugin(int fd, std::string_view type)
{
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        throw BackendError{"plug-in " + std::string{type} + ": " + ::dlerror()};
    const auto* plugin = static_cast<const Plugin*>(::dlsym(library, "postern_plugin"));
    if (plugin == nullptr)
        throw BackendError{"plug-in " + std::string{type} + " exports no postern_plugin"};
    if (std::string_view{plugin->build_id} != build_id)
        throw BackendError{"plug-in " + std::string{type} + " belongs to another build of Postern"};
    if (plugin->type != type)
        throw BackendError{"plug-in " + std::string{type} + " is of type " + plugin->type};
    return *plugin;
}

std::string plugin_file_name(std::string_view type)
{
    return "backend_" + std::string{type} + ".so";
}

} // namespace postern
