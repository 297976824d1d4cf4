/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes to syslog in every way that there is, and refuses. */
#include <errno.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdarg.h>
#include <syslog.h>

static void say(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    openlog("talks", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
    errno = ENOENT;
    syslog(LOG_ERR, "said with syslog: %m");
    say(LOG_NOTICE, "said with %s", "vsyslog");
    pam_syslog(handle, LOG_WARNING, "said with pam_%s", "syslog");
    closelog();
    return PAM_AUTH_ERR;
}
