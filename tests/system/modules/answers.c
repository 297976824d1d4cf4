/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives the answer that it was compiled with. */
#include <security/pam_modules.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    return ANSWER;
}
