// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

/// The pages of an LMDB file (lmdb.h of OpenLDAP, data format 1), as far as one must know them before liblmdb
/// may see the file: it trusts them, and a flipped bit crashes it.
///
/// Pure; any thread. The format is that of the host that wrote the file: little-endian, 64 bits.
namespace postern::sasldb {

/// Enough of a file to tell what it is.
inline constexpr std::size_t lmdb_head_bytes = 24;

[[nodiscard]] bool is_lmdb_head(std::string_view head) noexcept;

/// Enough of a file for lmdb_newest_change(), whatever its pages' size.
inline constexpr std::size_t lmdb_metas_bytes = 33 * 1024;

/// The number of the last transaction that was committed; nothing when the beginning of the file is damaged.
[[nodiscard]] std::optional<std::uint64_t> lmdb_newest_change(std::string_view beginning) noexcept;

/// Whether liblmdb will find its way through the newest state of that file: every page is where it belongs,
/// is reached once, and says nothing of places that are not there. Only a file with one database of plain
/// keys, as Cyrus SASL makes them.
[[nodiscard]] bool is_sound_lmdb(std::string_view file);

} // namespace postern::sasldb
