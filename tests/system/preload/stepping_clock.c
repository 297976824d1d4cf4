/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For /etc/ld.so.preload of a test's namespace: the wall clock of every program that is started from then on goes
 * wrong by as many seconds as the file /run/clock-offset says in its first eight bytes, from one moment to the next,
 * as an administrator or NTP would step it. The monotonic clock is left alone, as by the kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *offset; /* mapped while files can be opened */

__attribute__((constructor)) static void map_offset(void)
{
    const int fd = open("/run/clock-offset", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED)
        offset = page;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    const long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += *offset;
    return (int)result;
}

time_t time(time_t *stored)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (stored)
        *stored = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict stored, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    stored->tv_sec = now.tv_sec;
    stored->tv_usec = now.tv_nsec / 1000;
    return 0;
}
