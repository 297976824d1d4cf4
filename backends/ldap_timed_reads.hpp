// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

struct sockbuf; // what libldap reads from and writes to

/// A layer of libldap's, between the socket and TLS, that keeps a time: libldap reads from a blocking socket
/// for as long as a server likes, and a byte now and then would hold us for ever.
namespace postern {

/// Reads wait for bytes until `end` and fail then. It is lent for as long as the layer is there, and looked
/// at anew for each read. Throws std::bad_alloc.
void limit_reads(sockbuf* buffer, const TimePoint& end);

void unlimit_reads(sockbuf* buffer) noexcept;

} // namespace postern
