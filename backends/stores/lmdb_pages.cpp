// SPDX-License-Identifier: BSD-2-Clause
//
// Pages 0 and 1 are metas: states of the file, of which the one with the greater number counts. A meta names
// the roots of two trees, that of the free pages and the one with the entries. A page of a tree begins with
// 16 bytes: its number (8), a pad (2), flags (2), and where the free space between its two ends begins (2)
// and stops (2). From the front grow offsets of nodes, from the back the nodes, each with a head of 8 bytes:
// in a leaf the size of its value (4), flags (2) and the size of its key (2); in a branch the first six bytes
// are the number of the page below. A long value has pages of its own, and the node their first number.
//
// An entry in the tree of the free pages has for its key the change that freed them (8), for its value how
// many they are (8) and their numbers (8 each), the greatest first; room may be left behind them.
#include "backends/stores/lmdb_pages.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace postern::sasldb {

namespace {

constexpr std::uint32_t magic = 0xBEEFC0DE;
constexpr std::uint32_t version = 1;
constexpr std::size_t page_head_bytes = 16;
constexpr std::size_t node_head_bytes = 8;
constexpr std::size_t page_bytes_min = 512;
constexpr std::size_t page_bytes_max = 32768;
constexpr std::uint64_t no_page = ~std::uint64_t{0};
constexpr std::uint16_t depth_max = 32;

enum PageFlag : std::uint16_t { branch = 0x01, leaf = 0x02, overflow = 0x04, meta = 0x08 };
enum NodeFlag : std::uint16_t { big = 0x01 };
enum TreeFlag : std::uint16_t { fixed_map = 0x01 };

/// Reads numbers where they are; all is 0 beyond the end.
class Bytes {
public:
    explicit Bytes(std::string_view bytes) noexcept : bytes_{bytes} {}

    template <typename Number>
    [[nodiscard]] Number at(std::size_t place) const noexcept
    {
        Number number{};
        if (place <= bytes_.size() && bytes_.size() - place >= sizeof number)
            std::memcpy(&number, bytes_.data() + place, sizeof number);
        return number;
    }

private:
    std::string_view bytes_;
};

struct Tree {
    std::uint16_t flags;
    std::uint16_t depth;
    std::uint64_t root;
};

struct Meta {
    std::uint32_t page_bytes;
    Tree free_pages;
    Tree entries;
    std::uint64_t last_page;
    std::uint64_t change;
};

Tree read_tree(const Bytes& bytes, std::size_t place)
{
    return {bytes.at<std::uint16_t>(place + 4), bytes.at<std::uint16_t>(place + 6),
            bytes.at<std::uint64_t>(place + 40)};
}

std::optional<Meta> read_meta(const Bytes& bytes, std::size_t page)
{
    const std::size_t place = page + page_head_bytes;
    if (bytes.at<std::uint16_t>(page + 10) != meta || bytes.at<std::uint32_t>(place) != magic ||
        bytes.at<std::uint32_t>(place + 4) != version)
        return std::nullopt;
    return Meta{bytes.at<std::uint32_t>(place + 24), read_tree(bytes, place + 24),
                read_tree(bytes, place + 72), bytes.at<std::uint64_t>(place + 120),
                bytes.at<std::uint64_t>(place + 128)};
}

bool is_page_size(std::size_t size)
{
    return size >= page_bytes_min && size <= page_bytes_max && (size & (size - 1)) == 0;
}

/// Of the state that counts.
std::optional<Meta> newest_meta(std::string_view beginning)
{
    const Bytes bytes{beginning};
    const auto first = read_meta(bytes, 0);
    if (!first || !is_page_size(first->page_bytes))
        return std::nullopt;
    const auto second = read_meta(bytes, first->page_bytes);
    if (!second || second->page_bytes != first->page_bytes)
        return std::nullopt;
    return second->change > first->change ? second : first;
}

/// One walk through both trees.
class Walk {
public:
    Walk(std::string_view file, const Meta& state)
        : bytes_{file}
        , page_bytes_{state.page_bytes}
        , last_page_{state.last_page}
        , change_{state.change}
        , is_seen_(std::min<std::uint64_t>(file.size() / state.page_bytes, state.last_page + 1), false)
    {
        for (std::size_t page = 0; page < 2 && page < is_seen_.size(); ++page)
            is_seen_[page] = true;
    }

    [[nodiscard]] bool is_sound(const Tree& tree)
    {
        if (tree.root == no_page)
            return tree.depth == 0;
        return tree.depth > 0 && tree.depth <= depth_max && is_sound_page(tree.root, tree.depth);
    }

    /// Whether a writer may believe the lists of that tree, which is sound, as the other is.
    [[nodiscard]] bool has_sound_lists(const Tree& tree)
    {
        return tree.root == no_page || has_sound_lists(tree.root, tree.depth);
    }

private:
    /// Whether these pages exist and were not met before.
    [[nodiscard]] bool meet(std::uint64_t page, std::uint64_t pages = 1)
    {
        if (page >= is_seen_.size() || pages == 0 || pages > is_seen_.size() - page)
            return false;
        for (std::uint64_t i = page; i < page + pages; ++i) {
            if (is_seen_[i])
                return false;
            is_seen_[i] = true;
        }
        return true;
    }

    /// Its recursion ends with the tree's depth.
    [[nodiscard]] bool is_sound_page(std::uint64_t page, std::uint16_t depth) // NOLINT(misc-no-recursion)
    {
        if (!meet(page))
            return false;
        const std::size_t place = page * page_bytes_;
        const auto lower = bytes_.at<std::uint16_t>(place + 12);
        const auto upper = bytes_.at<std::uint16_t>(place + 14);
        const auto flags = bytes_.at<std::uint16_t>(place + 10);
        if (bytes_.at<std::uint64_t>(place) != page || flags != (depth > 1 ? branch : leaf))
            return false;
        const std::size_t nodes_min = depth > 1 ? 2 : 1; // liblmdb asserts it
        if (lower < page_head_bytes + 2 * nodes_min || lower > upper || upper > page_bytes_ || lower % 2 != 0)
            return false;
        for (std::size_t offset = page_head_bytes; offset < lower; offset += 2) {
            const auto node = bytes_.at<std::uint16_t>(place + offset);
            if (node < upper || node + node_head_bytes > page_bytes_ || !is_sound_node(place, node, depth))
                return false;
        }
        return true;
    }

    [[nodiscard]] bool is_sound_node(std::size_t page, std::size_t node, // NOLINT(misc-no-recursion)
                                     std::uint16_t depth)
    {
        const std::size_t place = page + node;
        const std::size_t end = node + node_head_bytes + bytes_.at<std::uint16_t>(place + 6); // of its key
        if (end > page_bytes_)
            return false;
        if (depth > 1)
            return is_sound_page(bytes_.at<std::uint64_t>(place) & 0xFFFF'FFFF'FFFFU,
                                 static_cast<std::uint16_t>(depth - 1));
        const std::size_t value_bytes = bytes_.at<std::uint32_t>(place);
        switch (bytes_.at<std::uint16_t>(place + 4)) {
        case 0: return value_bytes <= page_bytes_ - end;
        case big:
            return page_bytes_ - end >= sizeof(std::uint64_t) &&
                   is_sound_value(bytes_.at<std::uint64_t>(page + end), value_bytes);
        default: return false;
        }
    }

    [[nodiscard]] bool is_sound_value(std::uint64_t page, std::size_t value_bytes)
    {
        if (page >= is_seen_.size())
            return false;
        const std::size_t place = page * page_bytes_;
        const auto pages = bytes_.at<std::uint32_t>(place + 12);
        return bytes_.at<std::uint64_t>(place) == page && bytes_.at<std::uint16_t>(place + 10) == overflow &&
               meet(page, pages) && page_head_bytes + value_bytes <= pages * page_bytes_;
    }

    [[nodiscard]] bool has_sound_lists(std::uint64_t page, std::uint16_t depth) // NOLINT(misc-no-recursion)
    {
        const std::size_t place = page * page_bytes_;
        const auto lower = bytes_.at<std::uint16_t>(place + 12);
        for (std::size_t offset = page_head_bytes; offset < lower; offset += 2) {
            const std::size_t node = place + bytes_.at<std::uint16_t>(place + offset);
            const bool is_sound_below =
                depth > 1 ? has_sound_lists(bytes_.at<std::uint64_t>(node) & 0xFFFF'FFFF'FFFFU,
                                            static_cast<std::uint16_t>(depth - 1))
                          : is_sound_entry(node);
            if (!is_sound_below)
                return false;
        }
        return true;
    }

    [[nodiscard]] bool is_sound_entry(std::size_t node)
    {
        const std::size_t key = node + node_head_bytes;
        const std::size_t value = key + sizeof(std::uint64_t);
        if (bytes_.at<std::uint16_t>(node + 6) != sizeof(std::uint64_t) ||
            bytes_.at<std::uint64_t>(key) > change_)
            return false;
        const bool is_big = bytes_.at<std::uint16_t>(node + 4) == big;
        return is_sound_list(is_big ? bytes_.at<std::uint64_t>(value) * page_bytes_ + page_head_bytes : value,
                             bytes_.at<std::uint32_t>(node));
    }

    /// Free pages at the end of the file may never have been written: they are beyond it.
    [[nodiscard]] bool is_sound_list(std::size_t place, std::size_t value_bytes)
    {
        constexpr std::size_t number_bytes = sizeof(std::uint64_t);
        const auto pages = bytes_.at<std::uint64_t>(place);
        if (value_bytes < number_bytes || pages > value_bytes / number_bytes - 1)
            return false;
        std::uint64_t before = last_page_ + 1;
        for (std::uint64_t i = 1; i <= pages; ++i) {
            const auto page = bytes_.at<std::uint64_t>(place + i * number_bytes);
            if (page >= before || (page < is_seen_.size() && !meet(page)))
                return false;
            before = page;
        }
        return true;
    }

    Bytes bytes_;
    std::size_t page_bytes_;
    std::uint64_t last_page_;
    std::uint64_t change_;
    std::vector<bool> is_seen_; ///< of the pages that the file has and its state knows of
};

} // namespace

bool is_lmdb_head(std::string_view head) noexcept
{
    const Bytes bytes{head};
    return bytes.at<std::uint32_t>(page_head_bytes) == magic &&
           bytes.at<std::uint32_t>(page_head_bytes + 4) == version;
}

std::optional<std::uint64_t> lmdb_newest_change(std::string_view beginning) noexcept
{
    const auto newest = newest_meta(beginning);
    return newest ? std::optional{newest->change} : std::nullopt;
}

bool is_sound_lmdb(std::string_view file)
{
    const auto state = newest_meta(file);
    if (!state || state->last_page == no_page || (state->free_pages.flags & fixed_map) != 0 ||
        state->entries.flags != 0)
        return false;
    Walk walk{file, *state};
    return walk.is_sound(state->entries) && walk.is_sound(state->free_pages) &&
           walk.has_sound_lists(state->free_pages);
}

} // namespace postern::sasldb
