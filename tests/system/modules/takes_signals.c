/* SPDX-License-Identifier: BSD-2-Clause */
/* Handles every signal, ignores the ends of children, and lets in. */
#include <security/pam_modules.h>
#include <signal.h>

static void handle_it(int number)
{
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    int number;

    for (number = 1; number < NSIG; ++number)
        signal(number, handle_it);
    signal(SIGCHLD, SIG_IGN);
    return PAM_SUCCESS;
}
