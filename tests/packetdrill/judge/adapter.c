// SPDX-License-Identifier: BSD-3-Clause
// The world of packetdrill's userspace mode: flags, virtual time, packets.
#include "adapter.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include "base/alloc.h"
#include "base/units.h"
#include "engine/engine.h"
#include "ip/ip.h"
#include "link/link.h"
#include "sysctl/sysctl.h"

#define EPOCH_US 1700000000000000ll /* virtual time zero, as gettimeofday() says it */

static __attribute__((noreturn, format(printf, 1, 2))) void give_up(const char *format, ...)
{
    va_list ap;
    fprintf(stderr, "leat-packetdrill: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(1);
}

/* ---- flags: key=value,... ---- */

static void flag(struct adapter *a, const char *key, const char *value)
{
    static const char *const addresses[] = {"local", "gateway", "remote"};
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(key, addresses[i]))
            snprintf(a->text[i], sizeof(a->text[i]), "%s", value);
    if (!strcmp(key, "ip")) {
        if (strcmp(value, "4") != 0 && strcmp(value, "6") != 0)
            give_up("ip=%s: expected 4 or 6", value);
        a->config.v6 = *value == '6';
    } else if (!strcmp(key, "mtu")) {
        char *end;
        unsigned long mtu = strtoul(value, &end, 10);
        if (*end || mtu < 68 || mtu > 65535)
            give_up("mtu=%s: expected 68 to 65535", value);
        a->config.mtu = (uint16_t)mtu;
    } else if (!strcmp(key, "stack")) {
        snprintf(a->stack, sizeof(a->stack), "%s", value);
    } else if (strcmp(key, "local") != 0 && strcmp(key, "gateway") != 0 && strcmp(key, "remote") != 0) {
        give_up("unknown flag %s (ip, local, gateway, remote, mtu, stack)", key);
    }
}

static void flags(struct adapter *a, const char *text)
{
    char *copy = strdup(text ? text : ""), *save;
    if (!copy)
        give_up("no memory");
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        char *value = strchr(w, '=');
        if (!value)
            give_up("%s: expected key=value", w);
        *value++ = 0;
        flag(a, w, value);
    }
    free(copy);
}

/* The host's address with its prefix, the gateway, the peer's without one. */
static void addresses(struct adapter *a)
{
    struct dialog_config *c = &a->config;
    a->text[2][strcspn(a->text[2], "/")] = 0;
    if (a->text[0][0]) {
        snprintf(a->text[3], sizeof(a->text[3]),
                 strchr(a->text[0], '/') ? "%.50s"
                 : c->v6                 ? "%.50s/48"
                                         : "%.50s/16",
                 a->text[0]);
        c->local = a->text[3];
    }
    c->gateway = a->text[1][0] ? a->text[1] : NULL;
    c->remote = a->text[2][0] ? a->text[2] : NULL;
}

/* ---- time ---- */

uint64_t adapter_now(const struct adapter *a)
{
    return sim_now(a->dialog->sim);
}

static void collect(struct adapter *a)
{
    struct rte_mbuf *m;
    while ((m = sim_stub_recv(a->dialog->link, adapter_now(a), NULL)) != NULL) {
        struct adapter_packet *p = malloc(sizeof(*p));
        if (!p)
            give_up("no memory");
        *p = (struct adapter_packet){.m = m, .when = adapter_now(a)};
        *a->last = p;
        a->last = &p->next;
    }
}

/* A call that waits on another thread looks again after each event; the world stands still until it sleeps again or has been told the time. */
static void let_waiter_look(struct adapter *a)
{
    if (a->waiter != WAITER_ASLEEP || !pthread_equal(pthread_self(), a->main))
        return;
    a->waiter = WAITER_AWAKE;
    pthread_cond_broadcast(&a->turn);
    while (a->waiter == WAITER_AWAKE)
        pthread_cond_wait(&a->turn, &a->lock);
}

bool adapter_step(struct adapter *a, uint64_t until)
{
    bool more = sim_step(a->dialog->sim, until);
    collect(a);
    let_waiter_look(a);
    return more;
}

void adapter_run_until(struct adapter *a, uint64_t t)
{
    collect(a);
    while (adapter_step(a, t))
        ;
}

static int do_usleep(void *userdata, useconds_t us)
{
    struct adapter *a = userdata;
    pthread_mutex_lock(&a->lock);
    adapter_run_until(a, adapter_now(a) + us * NS_PER_US);
    pthread_mutex_unlock(&a->lock);
    return 0;
}

/* Moves on a little with each look: packetdrill spins on the clock until an event is due. */
static int do_gettimeofday(void *userdata, struct timeval *tv, struct timezone *tz)
{
    struct adapter *a = userdata;
    pthread_mutex_lock(&a->lock);
    if (a->waiter == WAITER_AWAKE && pthread_equal(pthread_self(), a->waiting)) {
        a->waiter = WAITER_NONE;
        pthread_cond_broadcast(&a->turn);
    } else if (pthread_equal(pthread_self(), a->main)) {
        adapter_run_until(a, adapter_now(a) + NS_PER_US);
    }
    long long us = EPOCH_US + (long long)(adapter_now(a) / NS_PER_US);
    pthread_mutex_unlock(&a->lock);
    *tv = (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    return 0;
}

/* ---- packets ---- */

static int append(struct rte_mbuf *m, const uint8_t *b, size_t n)
{
    while (n > 0) {
        struct rte_mbuf *last = rte_pktmbuf_lastseg(m);
        size_t part = RTE_MIN(n, (size_t)rte_pktmbuf_tailroom(last));
        if (part == 0) {
            struct rte_mbuf *more = rte_pktmbuf_alloc(m->pool);
            if (!more || rte_pktmbuf_chain(m, more) < 0)
                return -1;
            continue;
        }
        memcpy(rte_pktmbuf_append(m, (uint16_t)part), b, part);
        b += part;
        n -= part;
    }
    return 0;
}

static int do_netdev_send(void *userdata, const void *buf, size_t n)
{
    static const struct rte_ether_addr peer = {{0x02, 0, 0, 0, 0, 0x99}};
    struct adapter *a = userdata;
    const uint8_t *ip = buf;
    if (n < 20 || (ip[0] >> 4 != 4 && ip[0] >> 4 != 6)) {
        errno = EINVAL;
        return -1;
    }
    pthread_mutex_lock(&a->lock);
    struct rte_mbuf *m = pkt_alloc(sim_engine(a->dialog->host)->pkt_pool);
    struct rte_ether_hdr eth = {
        .dst_addr = sim_netif(a->dialog->link, a->dialog->host)->mac,
        .src_addr = peer,
        .ether_type = rte_cpu_to_be_16(ip[0] >> 4 == 4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6)};
    int result = m && append(m, (const uint8_t *)&eth, sizeof(eth)) == 0 && append(m, ip, n) == 0 ? 0 : -1;
    if (result == 0) {
        sim_stub_send(a->dialog->link, m);
        adapter_run_until(a, adapter_now(a));
    } else {
        rte_pktmbuf_free(m);
        errno = ENOBUFS;
    }
    pthread_mutex_unlock(&a->lock);
    return result;
}

/* Neighbours and groups are the adapter's business: packetdrill knows no link. */
static bool of_interest(const struct rte_mbuf *m)
{
    const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);
    uint16_t type = (uint16_t)(b[12] << 8 | b[13]);
    if (type == RTE_ETHER_TYPE_IPV4)
        return b[14 + 9] != IPPROTO_IGMP;
    return type == RTE_ETHER_TYPE_IPV6 && b[14 + 6] != 0 &&
           !(b[14 + 6] == IPPROTO_ICMPV6 && b[14 + 40] >= 130);
}

/* packetdrill looks at the IP header's checksum only: an error beyond it would go unseen. */
static bool sound(struct rte_mbuf *m)
{
    struct segment s;
    struct segment_ends ends;
    char why[100];
    if (segment_read(&s, &ends, m, why, sizeof(why)) != -EBADMSG)
        return true;
    fprintf(stderr, "leat-packetdrill: a bad packet was sent: %s\n", why);
    errno = EBADMSG;
    return false;
}

static struct adapter_packet *next_packet(struct adapter *a)
{
    uint64_t horizon = adapter_now(a) + ADAPTER_HORIZON;
    for (;;) {
        collect(a);
        while (!a->first && adapter_step(a, horizon))
            ;
        struct adapter_packet *p = a->first;
        if (!p)
            return NULL;
        a->first = p->next;
        if (!a->first)
            a->last = &a->first;
        if (of_interest(p->m))
            return p;
        rte_pktmbuf_free(p->m);
        free(p);
    }
}

static int do_netdev_receive(void *userdata, void *buf, size_t *n, long long *us)
{
    struct adapter *a = userdata;
    int result = 0;
    pthread_mutex_lock(&a->lock);
    struct adapter_packet *p = next_packet(a);
    if (!p) {
        *n = 0;
        *us = EPOCH_US + (long long)(adapter_now(a) / NS_PER_US);
    } else {
        uint32_t len = rte_pktmbuf_pkt_len(p->m) - (uint32_t)sizeof(struct rte_ether_hdr);
        const void *b = len <= *n ? rte_pktmbuf_read(p->m, sizeof(struct rte_ether_hdr), len, buf) : NULL;
        if (b && b != buf)
            memcpy(buf, b, len);
        result = b && sound(p->m) ? 0 : -1;
        *n = len;
        *us = EPOCH_US + (long long)(p->when / NS_PER_US);
        rte_pktmbuf_free(p->m);
        free(p);
    }
    pthread_mutex_unlock(&a->lock);
    return result;
}

/* ---- life ---- */

static struct adapter the; /* one script, one process */

static void clean_folder(void)
{
    control_stop(&the);
}

static void do_free(void *userdata)
{
    struct adapter *a = userdata;
    control_stop(a);
    while (a->first) {
        struct adapter_packet *p = a->first;
        a->first = p->next;
        rte_pktmbuf_free(p->m);
        free(p);
    }
    int64_t missing = dialog_free(a->dialog);
    if (missing)
        fprintf(stderr, "leat-packetdrill: %lld packet buffers were lost\n", (long long)missing);
}

static void choose_stack(struct adapter *a)
{
    char err[200];
    if (a->stack[0] && sysctl_set_text(sim_engine(a->dialog->host)->sysctl, "net.inet.tcp.functions_default",
                                       a->stack, err, sizeof(err)) < 0)
        give_up("%s", err);
}

void packetdrill_interface_init(const char *text, struct packetdrill_interface *ifc)
{
    struct adapter *a = &the;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->turn, NULL);
    a->main = pthread_self();
    a->last = &a->first;
    memset(a->live, 0xff, sizeof(a->live));
    flags(a, text);
    addresses(a);
    if (sim_eal_init(64) < 0)
        give_up("the EAL does not start");
    a->dialog = dialog_new(&a->config);
    if (!a->dialog)
        give_up("no host could be made: %s", strerror(errno));
    choose_stack(a);
    if (control_start(a) < 0)
        give_up("no command socket: %s", strerror(errno));
    atexit(clean_folder);
    *ifc = (struct packetdrill_interface){
        .userdata = a,
        .free = do_free,
        .netdev_send = do_netdev_send,
        .netdev_receive = do_netdev_receive,
        .usleep = do_usleep,
        .gettimeofday = do_gettimeofday,
    };
    adapter_calls(ifc);
}
