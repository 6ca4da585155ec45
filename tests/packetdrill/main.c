// SPDX-License-Identifier: BSD-3-Clause
// packetdrill [--stack NAME] [--define SYMBOL[=1]]... [--dry_run] [--verbose] SCRIPT...: plays scripts, each in a process of its own.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "player.h"

#define SECONDS_MAX 60 /* of real time for one script */

static const char *defines[SCRIPT_DEFINES_MAX + 1];
static unsigned n_defines;
static const char *stack;
static bool dry_run;

static int play(const char *path)
{
    struct script script;
    char err[2500] = "";
    int result = script_read(&script, path, defines, err, sizeof(err));
    if (result == 0 && !dry_run) {
        struct player p = {.script = &script, .stack = stack};
        result = player_run(&p, err, sizeof(err));
    }
    script_free(&script);
    if (result < 0)
        printf("%s\n", err);
    fflush(stdout);
    return result;
}

static bool play_apart(const char *path)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(SECONDS_MAX);
        _exit(play(path) < 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        return false;
    }
    if (WIFSIGNALED(status))
        printf("%s: %s\n", path,
               WTERMSIG(status) == SIGALRM ? "did not end in 60 s" : strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: packetdrill [--stack NAME] [--define SYMBOL[=1]]... [--dry_run] [--verbose] SCRIPT...\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"stack", required_argument, NULL, 's'},
                                            {"define", required_argument, NULL, 'D'},
                                            {"dry_run", no_argument, NULL, 'n'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {0}};
    bool verbose = false;
    unsigned passed = 0, failed = 0;
    int o;
    while ((o = getopt_long(argc, argv, "s:D:v", options, NULL)) != -1) {
        if (o == 's')
            stack = optarg;
        else if (o == 'D' && n_defines < SCRIPT_DEFINES_MAX)
            defines[n_defines++] = optarg;
        else if (o == 'n')
            dry_run = true;
        else if (o == 'v')
            verbose = true;
        else
            return usage();
    }
    if (optind == argc)
        return usage();
    int first = optind; /* the EAL plays with optind too */
    if (sim_eal_init(64) < 0) {
        fprintf(stderr, "the EAL does not start\n");
        return 1;
    }
    for (int i = first; i < argc; i++) {
        bool good = play_apart(argv[i]);
        good ? passed++ : failed++;
        if (verbose)
            printf("%s %s\n", good ? "ok  " : "FAIL", argv[i]);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
