/* SPDX-License-Identifier: BSD-2-Clause */
/* Lets in one login of those that it sees, and refuses those that come behind it in the same life. */
#include <security/pam_modules.h>

static int logins;

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    return logins++ == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
}
