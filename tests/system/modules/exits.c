/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends its process as if all were well. */
#include <security/pam_modules.h>
#include <stdlib.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    exit(0);
}
