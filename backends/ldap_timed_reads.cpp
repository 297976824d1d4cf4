// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_timed_reads.hpp"

#include "backends/server_socket.hpp"

#include <lber.h>
#include <poll.h>

#include <cerrno>
#include <new>

namespace postern {

namespace {

int set_end(Sockbuf_IO_Desc* self, void* end)
{
    self->sbiod_pvt = end;
    return 0;
}

ber_slen_t read_in_time(Sockbuf_IO_Desc* self, void* buffer, ber_len_t size)
{
    int fd = -1;
    ::ber_sockbuf_ctrl(self->sbiod_sb, LBER_SB_OPT_GET_FD, &fd);
    if (poll_until(fd, POLLIN, *static_cast<const TimePoint*>(self->sbiod_pvt)) <= 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    return LBER_SBIOD_READ_NEXT(self, buffer, size);
}

ber_slen_t write_through(Sockbuf_IO_Desc* self, void* buffer, ber_len_t size)
{
    return LBER_SBIOD_WRITE_NEXT(self, buffer, size);
}

int control_through(Sockbuf_IO_Desc* self, int option, void* value)
{
    return LBER_SBIOD_CTRL_NEXT(self, option, value);
}

Sockbuf_IO in_time{set_end, nullptr, control_through, read_in_time, write_through, nullptr};
constexpr int in_time_level = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2;

} // namespace

void limit_reads(sockbuf* buffer, const TimePoint& end)
{
    if (::ber_sockbuf_add_io(buffer, &in_time, in_time_level, const_cast<TimePoint*>(&end)) != 0)
        throw std::bad_alloc{};
}

void unlimit_reads(sockbuf* buffer) noexcept
{
    ::ber_sockbuf_remove_io(buffer, &in_time, in_time_level);
}

} // namespace postern
