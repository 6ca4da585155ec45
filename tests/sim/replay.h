// SPDX-License-Identifier: BSD-3-Clause
// A simulated test that failed is played once more: the same seeds give the same bytes, and this time the frames of each world go to
// a file. world_made() is called for each world that a test makes.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "port/sim/sim.h"

#define REPLAY_DIR      "LEAT_SIM_PCAP"
#define REPLAY_FILE_MAX (256u << 20) /* bytes of frames a world; the rest of them is not kept */

static inline void replay_again(const char *dir)
{
    static char line[4096];
    char *argv[64] = {0};
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, line, sizeof(line) - 1);
    unsigned argc = 0;
    for (char *p = line; p < line + n && argc < 63; p += strlen(p) + 1)
        argv[argc++] = p;
    struct rlimit most = {REPLAY_FILE_MAX, REPLAY_FILE_MAX};
    setrlimit(RLIMIT_FSIZE, &most);
    signal(SIGXFSZ, SIG_IGN);
    setenv(REPLAY_DIR, dir, 1);
    execv("/proc/self/exe", argv);
    _exit(127);
}

static inline void replay_failed(int status, void *arg)
{
    char dir[] = "/tmp/leat-sim.XXXXXX";
    if (status == 0 || !mkdtemp(dir))
        return;
    fprintf(stderr, "failed: once more, with the frames of each world in a file\n");
    fflush(NULL);
    pid_t again = fork();
    if (again == 0)
        replay_again(dir);
    waitpid(again, NULL, 0);
}

static inline void world_made(struct sim *s)
{
    static unsigned n;
    const char *dir = getenv(REPLAY_DIR);
    char path[512];
    n++;
    if (!dir) {
        if (n == 1)
            on_exit(replay_failed, NULL);
        return;
    }
    snprintf(path, sizeof(path), "%s/%s-%u-seed-%lu.pcap", dir, program_invocation_short_name, n,
             sim_seed(s));
    if (sim_pcap(s, path) == 0)
        fprintf(stderr, "world %u, seed %lu: its frames are in %s\n", n, sim_seed(s), path);
}
