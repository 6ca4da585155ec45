// SPDX-License-Identifier: BSD-3-Clause
#include "side.h"
#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>

static struct end ends[CONNS];
static struct conversation {
    struct end *end;
    struct tcp_pcb *pcb; /* NULL: none yet, or no more */
} conv[CONNS];
static struct netif cable;
static uint32_t now;
static void (*output)(const void *packet, unsigned n);
static void (*failed)(const char *why);

/* lwIP's clock is the simulator's: this definition, being visible, is found before the library's. */
__attribute__((visibility("default"))) u32_t sys_now(void)
{
    return now;
}

/* ---- the cable ---- */

static err_t cable_output(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    uint8_t packet[1600];
    output(packet, pbuf_copy_partial(p, packet, sizeof(packet), 0));
    return ERR_OK;
}

static err_t cable_init(struct netif *n)
{
    n->output = cable_output;
    n->mtu = 1500;
    n->flags = NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static void input(const void *packet, unsigned n)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
    if (!p)
        return;
    pbuf_take(p, packet, (u16_t)n);
    if (cable.input(p, &cable) != ERR_OK)
        pbuf_free(p);
}

/* ---- conversations ---- */

static void fill(struct conversation *c)
{
    uint8_t b[2000];
    struct end *e = c->end;
    if (!c->pcb || e->shut)
        return;
    while (e->sent < e->to_send && tcp_sndbuf(c->pcb) >= sizeof(b)) {
        uint64_t n = give(e, b, sizeof(b));
        if (tcp_write(c->pcb, b, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        e->sent += n;
    }
    if (e->sent == e->to_send && tcp_shutdown(c->pcb, 0, 1) == ERR_OK)
        e->shut = true;
    tcp_output(c->pcb);
}

static err_t sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    fill(arg);
    return ERR_OK;
}

static err_t received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct conversation *c = arg;
    if (!p) {
        c->end->ended = true;
        return ERR_OK;
    }
    for (struct pbuf *q = p; q; q = q->next)
        if (!take(c->end, q->payload, q->len))
            failed("lwIP: a byte is another");
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static void pcb_error(void *arg, err_t err)
{
    struct conversation *c = arg;
    c->pcb = NULL;
    if (!c->end->ended || c->end->got != c->end->to_get)
        failed("lwIP's end was reset");
}

static void adopt(struct conversation *c, struct tcp_pcb *pcb)
{
    c->pcb = pcb;
    tcp_arg(pcb, c);
    tcp_recv(pcb, received);
    tcp_sent(pcb, sent);
    tcp_err(pcb, pcb_error);
}

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    fill(arg);
    return ERR_OK;
}

/* Leat's ports tell which conversation it is: PORT + 1 + number. */
static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
    unsigned i = pcb->remote_port - PORT - 1u;
    if (err != ERR_OK || !pcb || i >= CONNS)
        return ERR_VAL;
    adopt(&conv[i], pcb);
    fill(&conv[i]);
    return ERR_OK;
}

static void open_one(unsigned i)
{
    ip_addr_t to = IPADDR4_INIT_BYTES(10, 0, 0, 1);
    struct tcp_pcb *pcb = tcp_new();
    adopt(&conv[i], pcb);
    if (tcp_bind(pcb, IP_ADDR_ANY, (u16_t)(PORT + 1 + i)) != ERR_OK ||
        tcp_connect(pcb, &to, PORT, connected) != ERR_OK)
        failed("lwIP: connect");
}

static void init(void (*out)(const void *packet, unsigned n), void (*fail)(const char *why))
{
    ip4_addr_t own, mask, none = {0};
    output = out;
    failed = fail;
    for (unsigned i = 0; i < CONNS; i++)
        conv[i].end = &ends[i];
    IP4_ADDR(&own, 10, 0, 0, 2);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    lwip_init();
    netif_add(&cable, &own, &mask, &none, NULL, cable_init, ip_input);
    netif_set_default(&cable);
    netif_set_up(&cable);
    struct tcp_pcb *l = tcp_new();
    if (tcp_bind(l, IP_ADDR_ANY, PORT) != ERR_OK || !(l = tcp_listen_with_backlog(l, 255)))
        failed("lwIP: listen");
    tcp_accept(l, accepted);
}

static void clock_ms(uint32_t ms)
{
    now = ms;
    sys_check_timeouts();
}

extern const struct lwip_side lwip_side;
__attribute__((visibility("default"))) const struct lwip_side lwip_side = {
    .ends = ends, .init = init, .input = input, .open = open_one, .clock = clock_ms};
