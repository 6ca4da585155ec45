// SPDX-License-Identifier: BSD-3-Clause
// sysctl, sockstat, tcpdrop as scripts call them while packetdrill runs with the adapter: the words go to the adapter's socket, the answer comes
// back. One program under three names.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "control.h"

static int fail(const char *name, const char *why)
{
    fprintf(stderr, "%s: %s\n", name, why);
    return 1;
}

static int reach(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    return -1;
}

/* The words, each with its NUL; then the end. */
static int ask(int fd, const char *name, int argc, char **argv)
{
    int bad = write(fd, name, strlen(name) + 1) < 0;
    for (int i = 1; i < argc; i++)
        bad |= write(fd, argv[i], strlen(argv[i]) + 1) < 0;
    return bad || shutdown(fd, SHUT_WR) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0],
               *path = getenv(CONTROL_ENV);
    char status, text[4096];
    ssize_t n;
    if (!path)
        return fail(name, CONTROL_ENV " is not set: this serves scripts that packetdrill plays");
    int fd = reach(path);
    if (fd < 0 || ask(fd, name, argc, argv) < 0 || read(fd, &status, 1) != 1)
        return fail(name, "the stack does not answer");
    FILE *out = status == CONTROL_OK ? stdout : stderr;
    while ((n = read(fd, text, sizeof(text))) > 0)
        fwrite(text, 1, (size_t)n, out);
    return status != CONTROL_OK;
}
