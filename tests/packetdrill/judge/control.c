// SPDX-License-Identifier: BSD-3-Clause
// The command socket: what a script's shell asks of the stack. A private folder holds it; the environment tells children where, and puts the
// shims, which lie beside this object, first in PATH.
#include "control.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/un.h>
#include "adapter.h"
#include "stack_commands.h"

#define WORDS_MAX 16

/* Splits a request into its words; 0: it is none. */
static unsigned split(char *text, size_t len, char **word)
{
    unsigned n = 0;
    for (size_t at = 0; at < len && n < WORDS_MAX; at += strlen(text + at) + 1)
        word[n++] = text + at;
    return n;
}

static void answer(struct adapter *a, int fd, char *const *word, unsigned n)
{
    char *text = NULL, err[500] = "";
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    pthread_mutex_lock(&a->lock);
    sim_enter(a->dialog->host);
    int failed = stack_command(sim_engine(a->dialog->host), word, n, out, err, sizeof(err));
    if (!failed)
        adapter_run_until(a, adapter_now(a));
    pthread_mutex_unlock(&a->lock);
    fclose(out);
    if (failed)
        dprintf(fd, "%c%s: %s\n", CONTROL_FAILED, word[0], err);
    else
        dprintf(fd, "%c%s", CONTROL_OK, text);
    free(text);
}

static void serve(struct adapter *a, int fd)
{
    char text[2048], *word[WORDS_MAX];
    size_t len = 0;
    ssize_t n;
    while (len + 1 < sizeof(text) && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = 0;
    unsigned words = split(text, len, word);
    if (words > 0)
        answer(a, fd, word, words);
}

static void *control_thread(void *arg)
{
    struct adapter *a = arg;
    for (;;) {
        int fd = accept4(a->control, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return NULL;
        if (fd < 0)
            continue;
        serve(a, fd);
        close(fd);
    }
}

static int set_path(void)
{
    Dl_info self;
    const char *before = getenv("PATH");
    char path[8192];
    if (!dladdr((void *)control_start, &self) || !strrchr(self.dli_fname, '/'))
        return -1;
    snprintf(path, sizeof(path), "%.*s:%s", (int)(strrchr(self.dli_fname, '/') - self.dli_fname),
             self.dli_fname, before ? before : "/usr/bin:/bin");
    return setenv("PATH", path, 1);
}

int control_start(struct adapter *a)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    pthread_t thread;
    snprintf(a->folder, sizeof(a->folder), "/tmp/leat-packetdrill.XXXXXX");
    if (!mkdtemp(a->folder))
        return -1;
    snprintf(a->socket_path, sizeof(a->socket_path), "%s/control", a->folder);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", a->socket_path);
    a->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a->control < 0 || bind(a->control, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(a->control, 8) < 0 || setenv(CONTROL_ENV, a->socket_path, 1) < 0 || set_path() < 0)
        return -1;
    errno = pthread_create(&thread, NULL, control_thread, a);
    return errno ? -1 : pthread_detach(thread);
}

void control_stop(struct adapter *a)
{
    if (!a->folder[0])
        return;
    unlink(a->socket_path);
    rmdir(a->folder);
    a->folder[0] = 0;
}
