/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of settings and counters; docs/sysctl.md lists the names. */
#ifndef LEAT_SYSCTL_H
#define LEAT_SYSCTL_H

#include <stddef.h>
#include <leat/leat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As sysctlbyname(3) of FreeBSD, for the caller's engine: integers are int32_t, uint32_t or uint64_t by the name's type, strings with
 * NUL. -1: ENOENT (unknown), ENOMEM (*oldlenp too small), EPERM (read only), EINVAL (size or range), ENXIO (no engine here). */
LEAT_API int leat_sysctlbyname(const char *name, void *oldp, size_t *oldlenp, const void *newp,
                               size_t newlen);
/* The reason of this thread's last failed leat_sysctlbyname() or leat_init() in words: key, value and what was expected. */
LEAT_API const char *leat_sysctl_error(void);

#ifdef __cplusplus
}
#endif
#endif
