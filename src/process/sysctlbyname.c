// SPDX-License-Identifier: BSD-3-Clause
// <leat/sysctl.h>: the tree of the caller's engine.
#include <errno.h>
#include <stdio.h>
#include <leat/sysctl.h>
#include "process/priv.h"
#include "socket/socket.h"
#include "sysctl/sysctl.h"

static __thread char reason[PROC_ERROR_LEN];

char *proc_reason(void)
{
    return reason;
}

const char *leat_sysctl_error(void)
{
    return reason;
}

int leat_sysctlbyname(const char *name, void *oldp, size_t *oldlenp, const void *newp, size_t newlen)
{
    struct engine *e = so_current();
    int rc;

    if (!e) {
        snprintf(reason, sizeof(reason), "%s: this thread runs no engine", name);
        errno = ENXIO;
        return -1;
    }
    rc = sysctl_access(e->sysctl, name, oldp, oldlenp, newp, newlen, reason, sizeof(reason));
    if (rc == 0)
        return 0;
    errno = -rc;
    return -1;
}
