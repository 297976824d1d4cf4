// SPDX-License-Identifier: BSD-2-Clause

// Runs a fuzz target on files that are there already: a corpus, or the input that a fuzzer has found. It
// stands in for libFuzzer where the compiler has none.
#include "tests/fuzz/fuzz.hpp"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& path)
{
    if (!std::filesystem::is_directory(path))
        return {path};
    const std::filesystem::directory_iterator entries{path};
    return {begin(entries), end(entries)};
}

void replay(const std::filesystem::path& path)
{
    std::cout << path.string() << std::endl; // before the run: it may be the last thing that is said
    std::ifstream file{path, std::ios::binary};
    file.exceptions(std::ios::badbit | std::ios::failbit);
    const std::string bytes{std::istreambuf_iterator{file}, {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

} // namespace

/// Usage: TARGET [-libfuzzer_option]... FILE_OR_DIRECTORY...
int main(int argc, char** argv)
try {
    const std::vector<std::string> arguments{argv + 1, argv + argc};
    std::size_t inputs = 0;
    for (const std::string& argument : arguments) {
        if (argument.starts_with('-'))
            continue;
        for (const auto& path : files_in(argument)) {
            replay(path);
            ++inputs;
        }
    }
    std::cout << inputs << " inputs replayed\n";
    return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;

} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
