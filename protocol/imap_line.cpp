// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/imap_line.hpp"

#include <sodium.h>

#include <algorithm>

namespace postern::imap {

void LineWindow::add(std::string_view part)
{
    bytes_ += part.size();
    text_.append(part.substr(0, line_bytes_max - text_.size()));
    last_.append(part.substr(part.size() - std::min<std::size_t>(2, part.size())));
    last_.erase(0, last_.size() - std::min<std::size_t>(2, last_.size()));
}

void LineWindow::clear() noexcept
{
    sodium_memzero(text_.data(), text_.size());
    text_.clear();
    last_.clear();
    bytes_ = 0;
}

std::string_view LineWindow::text() const noexcept
{
    const std::string_view text = text_;
    return text.ends_with('\r') && !is_cut() ? text.substr(0, text.size() - 1) : text;
}

bool LineWindow::ends_in_literal() const noexcept
{
    const std::string_view last = last_;
    return last.ends_with('}') || last == "}\r";
}

} // namespace postern::imap
