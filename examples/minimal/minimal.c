// SPDX-License-Identifier: BSD-3-Clause
// The shortest useful program: answers every connection with one line and closes it.
#include <leat/event.h>
#include <leat/leat.h>

static int listener;

static int loop(void *arg)
{
    int fd;
    while ((fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        leat_write(fd, "hello from leat\n", 16);
        leat_close(fd);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(7777)};
    if (leat_init(argc, argv) < 0)
        return 1;
    listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || leat_listen(listener, 128) < 0)
        return 1;
    return leat_run(loop, NULL) < 0;
}
