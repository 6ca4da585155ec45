// SPDX-License-Identifier: BSD-3-Clause
// leat-packetdrill.so by its table of functions, as packetdrill drives it: a peer of a few lines, virtual time, the scripts' commands, a call that
// waits on a second thread.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include "interface.h"

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #what, errno);                     \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static struct packetdrill_interface ifc;
static void *u;

/* ---- a peer at 192.0.2.1 ---- */

struct packet {
    struct iphdr ip;
    struct tcphdr th;
    uint8_t data[1500];
};

static uint32_t sum(const void *bytes, size_t n, uint32_t s)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < n; i++)
        s += (uint32_t)b[i] << (i & 1 ? 0 : 8);
    return s;
}

static uint16_t fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

static void inject(uint16_t sport, uint16_t dport, uint8_t flags, uint32_t seq, uint32_t ack,
                   const char *data)
{
    struct packet p = {0};
    size_t len = strlen(data), l4 = sizeof(p.th) + len;
    p.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP};
    p.ip.tot_len = htons((uint16_t)(sizeof(p.ip) + l4));
    inet_pton(AF_INET, "192.0.2.1", &p.ip.saddr);
    inet_pton(AF_INET, "192.168.0.1", &p.ip.daddr);
    p.ip.check = fold(sum(&p.ip, sizeof(p.ip), 0));
    p.th.source = htons(sport);
    p.th.dest = htons(dport);
    p.th.seq = htonl(seq);
    p.th.ack_seq = htonl(ack);
    p.th.doff = 5;
    ((uint8_t *)&p.th)[13] = flags;
    p.th.window = htons(65535);
    memcpy(p.data, data, len);
    p.th.check = fold(sum(&p.th, l4, sum(&p.ip.saddr, 8, IPPROTO_TCP + (uint32_t)l4)));
    CHECK(ifc.netdev_send(u, &p, sizeof(p.ip) + l4) == 0);
}

static long long clock_us(void)
{
    struct timeval tv;
    CHECK(ifc.gettimeofday(u, &tv, NULL) == 0);
    return tv.tv_sec * 1000000ll + tv.tv_usec;
}

/* The next packet, its flags and payload as they must be. Returns when it left. */
static long long expect(struct packet *p, uint8_t flags, size_t len)
{
    size_t n = sizeof(*p);
    long long us;
    CHECK(ifc.netdev_receive(u, p, &n, &us) == 0);
    CHECK(n >= sizeof(p->ip) + sizeof(p->th) && n == ntohs(p->ip.tot_len));
    CHECK(((uint8_t *)&p->th)[13] == flags);
    CHECK(n == sizeof(p->ip) + p->th.doff * 4u + len);
    CHECK(fold(sum(&p->ip, sizeof(p->ip), 0)) == 0);
    CHECK(fold(sum(&p->th, n - sizeof(p->ip),
                   sum(&p->ip.saddr, 8, IPPROTO_TCP + (uint32_t)(n - sizeof(p->ip))))) == 0);
    return us;
}

static void expect_nothing(void)
{
    struct packet p;
    size_t n = sizeof(p);
    long long us;
    CHECK(ifc.netdev_receive(u, &p, &n, &us) == 0 && n == 0);
}

/* ---- the socket's side ---- */

static struct sockaddr_in addr(const char *ip, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &in.sin_addr);
    return in;
}

static int listener(uint16_t port)
{
    struct sockaddr_in in = addr("192.168.0.1", port);
    int fd = ifc.socket(u, AF_INET, SOCK_STREAM, IPPROTO_TCP), one = 1;
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) >= 0); /* a descriptor of the process too */
    CHECK(ifc.setsockopt(u, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
    CHECK(ifc.bind(u, fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(ifc.listen(u, fd, 5) == 0);
    return fd;
}

static int status(const char *command)
{
    int s = system(command);
    return WIFEXITED(s) ? WEXITSTATUS(s) : -1;
}

static void test_clock(void)
{
    long long before = clock_us();
    CHECK(clock_us() > before); /* moves on with each look, or packetdrill would spin for ever */
    before = clock_us();
    CHECK(ifc.usleep(u, 5000000) == 0);
    CHECK(clock_us() - before >= 5000000 && clock_us() - before < 5000010);
}

static void test_commands(void)
{
    CHECK(status("test \"$(sysctl -w net.inet.tcp.delacktime=50)\" = 'net.inet.tcp.delacktime: 40 -> 50'") ==
          0);
    CHECK(status("test \"$(sysctl -n net.inet.tcp.delacktime)\" = 50") == 0);
    CHECK(status("sysctl -w net.inet.tcp.delacktime=40 >/dev/null") == 0);
    CHECK(status("sysctl -w net.inet.tcp.no_such_thing=1 2>/dev/null") == 1);
    CHECK(status("sysctl -w net.inet.tcp.delacktime=none 2>/dev/null") == 1);
    CHECK(status("sockstat -4 -P tcp -s | grep -q packetdril.*LISTEN") == 0);
    CHECK(status("sockstat -6 -P tcp -s | grep -q LISTEN") == 1);
    CHECK(status("tcpdrop -s TIME_WAIT") == 0);
    CHECK(status("tcpdrop 2>/dev/null") == 1);
}

static uint32_t handshake(uint16_t port)
{
    struct packet p;
    inject(40000, port, TH_SYN, 0, 0, "");
    expect(&p, TH_SYN | TH_ACK, 0);
    CHECK(p.th.dest == htons(40000) && p.th.ack_seq == htonl(1));
    return ntohl(p.th.seq);
}

static void test_conversation(void)
{
    struct packet p;
    char text[10];
    int l = listener(8080);
    uint32_t iss = handshake(8080);
    inject(40000, 8080, TH_ACK, 1, iss + 1, "");
    int fd = ifc.accept(u, l, NULL, NULL);
    CHECK(fd >= 0);
    inject(40000, 8080, TH_ACK | TH_PUSH, 1, iss + 1, "hello");
    long long sent = clock_us(), acked = expect(&p, TH_ACK, 0);
    CHECK(acked - sent > 39000 && acked - sent < 41000); /* delacktime, in virtual time */
    CHECK(p.th.ack_seq == htonl(6));
    CHECK(ifc.recv(u, fd, text, sizeof(text), MSG_DONTWAIT) == 5 && !memcmp(text, "hello", 5));
    CHECK(ifc.recv(u, fd, text, sizeof(text), MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(ifc.send(u, fd, "good day", 8, 0) == 8);
    expect(&p, TH_ACK | TH_PUSH, 8);
    inject(40000, 8080, TH_ACK, 6, iss + 9, "");
    test_commands();
    CHECK(ifc.close(u, fd) == 0 && fcntl(fd, F_GETFD) == -1);
    expect(&p, TH_FIN | TH_ACK, 0);
    inject(40000, 8080, TH_RST, 6, 0, "");
    CHECK(ifc.close(u, l) == 0);
    CHECK(ifc.close(u, l) == -1 && errno == EBADF);
    expect_nothing();
}

/* accept() on a second thread sleeps until the peer's ACK, and its end is told in the time at which it came. */
static long long accepted_at;
static void *accept_thread(void *arg)
{
    int fd = ifc.accept(u, *(int *)arg, NULL, NULL);
    accepted_at = clock_us();
    CHECK(fd >= 0 && ifc.close(u, fd) == 0);
    return NULL;
}

static void test_waiting_call(void)
{
    pthread_t thread;
    struct packet p;
    int l = listener(8081);
    CHECK(pthread_create(&thread, NULL, accept_thread, &l) == 0);
    usleep(50000); /* of the kernel's time: it is asleep in accept() */
    CHECK(ifc.usleep(u, 1000000) == 0);
    uint32_t iss = handshake(8081);
    CHECK(ifc.usleep(u, 500000) == 0);
    long long before = clock_us();
    inject(40000, 8081, TH_ACK, 1, iss + 1, "");
    CHECK(ifc.usleep(u, 1000000) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(accepted_at - before >= 0 && accepted_at - before < 1000);
    expect(&p, TH_FIN | TH_ACK, 0);
    CHECK(ifc.close(u, l) == 0);
}

/* One that nobody will end gives up at the horizon, for packetdrill would wait for ever. */
static void test_horizon(void)
{
    int l = listener(8082);
    CHECK(ifc.accept(u, l, NULL, NULL) == -1 && errno == EAGAIN);
    CHECK(ifc.close(u, l) == 0);
    CHECK(ifc.splice(u, 0, NULL, 0, NULL, 1, 0) == -1 && errno == ENOSYS);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_adapter leat-packetdrill.so\n");
        return 2;
    }
    void *so = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    packetdrill_interface_init_t init = (packetdrill_interface_init_t)dlsym(so, "packetdrill_interface_init");
    CHECK(init);
    init("ip=4,local=192.168.0.1,gateway=192.168.0.2,remote=192.0.2.1/24,mtu=1500,stack=default", &ifc);
    u = ifc.userdata;
    for (void **slot = (void **)&ifc; slot < (void **)(&ifc + 1); slot++)
        CHECK(*slot); /* packetdrill calls without looking */
    test_clock();
    test_conversation();
    test_waiting_call();
    test_horizon();
    ifc.free(u);
    CHECK(access(getenv("LEAT_PACKETDRILL_SOCKET"), F_OK) < 0);
    return 0;
}
