/* SPDX-License-Identifier: BSD-2-Clause */
/* Closes what does not belong to it, and lets in. */
#include <security/pam_modules.h>
#include <unistd.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    int fd;

    for (fd = 0; fd < 1024; ++fd)
        close(fd);
    return PAM_SUCCESS;
}
