// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/plugin_files.hpp"

#include "backends/plugin_loader.hpp"

#include <filesystem>

namespace postern {

namespace {

/// Where this build, or this installation, keeps its plug-ins: beside the program.
std::filesystem::path plugin_directory()
{
    static const auto directory =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / POSTERN_PLUGIN_PATH;
    return directory; // looked up once: after an upgrade the link says "(deleted)"
}

} // namespace

int PluginFiles::open(std::string_view type)
{
    auto found = files_.find(type);
    if (found == files_.end())
        found =
            files_.emplace(type, open_plugin(plugin_directory() / plugin_file_name(std::string{type}))).first;
    return found->second.get();
}

} // namespace postern
