/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes what could be taken for an escape, to either facility, and refuses. */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <syslog.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    syslog(LOG_ERR, "user 'DOM\\alice' [smtp] refused");
    syslog(LOG_AUTHPRIV | LOG_NOTICE, "granted [a] \\n");
    pam_syslog(handle, LOG_NOTICE, "DOM\\alice]");
    return PAM_AUTH_ERR;
}
