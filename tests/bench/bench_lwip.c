// SPDX-License-Identifier: BSD-3-Clause
// lwIP's raw API as the yardstick beside bench.c: both ends in one process, the same sizes, no copy and no thread that lwIP does
// not need. lwIP keeps one stack a process, so the wire hands a segment back with its addresses exchanged (which leaves its
// checksums right): connections go from 10.0.0.1 to 10.0.0.2, and 10.0.0.1 sees them arrive from 10.0.0.2.
//   bench_lwip rr|bulk CONNS COUNT    COUNT: requests, or MiB for bulk, in the measured part
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/prot/ip4.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>

#define REQUEST 64
#define REPLY   512
#define PORT    8080
#define CHUNK   16384

static struct bench {
    struct netif wire;
    bool bulk;
    uint64_t done;
    unsigned conns, ready;
    struct tcp_pcb **clients;
    char buf[CHUNK];
} b;

static void die(const char *what)
{
    fprintf(stderr, "bench_lwip: %s\n", what);
    exit(1);
}

/* ---- the wire ---- */

struct under_way {
    struct under_way *next;
    struct pbuf *p;
};
static struct under_way *head, **tail = &head;

static err_t wire_output(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    struct under_way *u = malloc(sizeof(*u));
    if (!u || !(u->p = pbuf_clone(PBUF_RAW, PBUF_RAM, p))) /* p stays with the sender: a NIC reads it, too */
        die("out of memory");
    struct ip_hdr *ip = u->p->payload;
    ip4_addr_p_t source = ip->src;
    ip->src = ip->dest;
    ip->dest = source;
    u->next = NULL;
    *tail = u;
    tail = &u->next;
    return ERR_OK;
}

static err_t wire_init(struct netif *n)
{
    n->output = wire_output;
    n->mtu = 1500;
    n->flags = NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static bool wire_deliver(void)
{
    struct under_way *u = head;
    if (!u)
        return false;
    head = u->next;
    if (!head)
        tail = &head;
    if (b.wire.input(u->p, &b.wire) != ERR_OK)
        pbuf_free(u->p);
    free(u);
    return true;
}

/* ---- server ---- */

static void server_fill(struct tcp_pcb *c)
{
    while (tcp_sndbuf(c) >= CHUNK && tcp_write(c, b.buf, CHUNK, TCP_WRITE_FLAG_COPY) == ERR_OK)
        ;
    tcp_output(c);
}

static err_t server_sent(void *arg, struct tcp_pcb *c, u16_t n)
{
    if (b.bulk)
        server_fill(c);
    return ERR_OK;
}

static err_t server_recv(void *arg, struct tcp_pcb *c, struct pbuf *p, err_t err)
{
    if (!p)
        return tcp_close(c);
    tcp_recved(c, p->tot_len);
    bool whole = p->tot_len == REQUEST;
    pbuf_copy_partial(p, b.buf, REQUEST, 0);
    pbuf_free(p);
    if (!whole)
        die("a request in pieces");
    if (tcp_write(c, b.buf, REPLY, TCP_WRITE_FLAG_COPY) != ERR_OK)
        die("server write");
    return tcp_output(c);
}

static err_t server_accept(void *arg, struct tcp_pcb *c, err_t err)
{
    tcp_recv(c, server_recv);
    tcp_sent(c, server_sent);
    if (b.bulk)
        server_fill(c);
    return ERR_OK;
}

/* ---- client ---- */

static void client_request(struct tcp_pcb *c)
{
    if (tcp_write(c, b.buf, REQUEST, TCP_WRITE_FLAG_COPY) != ERR_OK || tcp_output(c) != ERR_OK)
        die("client write");
}

static err_t client_recv(void *arg, struct tcp_pcb *c, struct pbuf *p, err_t err)
{
    if (!p)
        die("the server closed");
    tcp_recved(c, p->tot_len);
    unsigned n = pbuf_copy_partial(p, b.buf, CHUNK, 0);
    pbuf_free(p);
    if (b.bulk) {
        b.done += n;
        return ERR_OK;
    }
    if (n != REPLY)
        die("a reply in pieces");
    b.done++;
    client_request(c);
    return ERR_OK;
}

static err_t client_connected(void *arg, struct tcp_pcb *c, err_t err)
{
    b.ready++;
    return ERR_OK;
}

/* ---- the run ---- */

static void turn(void)
{
    if (!wire_deliver())
        sys_check_timeouts();
}

void engine_turns(uint64_t target); /* visible to callgrind's --toggle-collect */
__attribute__((noinline)) void engine_turns(uint64_t target)
{
    while (b.done < target)
        turn();
}

static void set_up(void)
{
    ip4_addr_t own, mask, none = {0};
    IP4_ADDR(&own, 10, 0, 0, 1);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    lwip_init();
    netif_add(&b.wire, &own, &mask, &none, NULL, wire_init, ip_input);
    netif_set_default(&b.wire);
    netif_set_up(&b.wire);
    struct tcp_pcb *l = tcp_new();
    if (tcp_bind(l, IP_ADDR_ANY, PORT) != ERR_OK || !(l = tcp_listen_with_backlog(l, 255)))
        die("listen");
    tcp_accept(l, server_accept);
}

static void client_open(unsigned i)
{
    ip_addr_t to = IPADDR4_INIT_BYTES(10, 0, 0, 2);
    struct tcp_pcb *c = b.clients[i] = tcp_new();
    tcp_nagle_disable(c);
    tcp_recv(c, client_recv);
    if (tcp_connect(c, &to, PORT, client_connected) != ERR_OK)
        die("connect");
    while (b.ready <= i)
        turn();
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench_lwip rr|bulk CONNS COUNT\n");
        return 2;
    }
    b.bulk = strcmp(argv[1], "bulk") == 0;
    b.conns = (unsigned)atoi(argv[2]);
    uint64_t count = strtoull(argv[3], NULL, 10) << (b.bulk ? 20 : 0);
    b.clients = calloc(b.conns, sizeof(struct tcp_pcb *));
    set_up();
    for (unsigned i = 0; i < b.conns; i++)
        client_open(i);
    for (unsigned i = 0; i < b.conns && !b.bulk; i++)
        client_request(b.clients[i]);
    while (b.done < (b.bulk ? UINT64_C(64) << 20 : 2 * (uint64_t)b.conns + 1000))
        turn();
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    engine_turns(b.done + count);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double ns = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
    if (b.bulk)
        printf("%.3f Gbit/s\n", (double)count * 8 / ns);
    else
        printf("%.1f ns\n", ns / (double)count);
    return 0;
}
