/* SPDX-License-Identifier: BSD-2-Clause */
/* Lets in once in the life of a process, and fails from then on. */
#include <security/pam_modules.h>
#include <stdlib.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    if (getenv("WORKED_ONCE"))
        return PAM_SERVICE_ERR;
    setenv("WORKED_ONCE", "1", 1);
    return PAM_SUCCESS;
}
