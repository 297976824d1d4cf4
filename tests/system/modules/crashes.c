/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what is not there. */
#include <security/pam_modules.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    return *(volatile int *)16;
}
