// SPDX-License-Identifier: BSD-3-Clause
// Conversations with one simulated host, one line per segment, in packetdrill's notation (segment.h). The peer's sequence numbers are
// what the text says; the host's are counted from its initial one, its ports and timestamps are learnt from what it sends.
//     struct dialog *d = dialog_new(NULL);
//     ... sim_enter(d->host); leat_socket(), leat_listen() on port 8080 ...
//     dialog_inject(d, "S 0:0(0) win 65535 <mss 1460,sackOK,nop,nop>");
//     dialog_expect(d, "S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,eol,eol>");
#pragma once
#include "port/sim/segment.h"
#include "port/sim/sim.h"

#define DIALOG_PORT 8080

struct dialog_config {
    bool v6;
    uint16_t mtu;        /* 0: 1500 */
    uint64_t seed;       /* 0: 1 */
    const char *local;   /* "192.168.0.1/16", "fd3d:fa7b:d17d::1/48" when NULL */
    const char *gateway; /* "192.168.0.2", "fd3d:fa7b:d17d::2" */
    const char *remote;  /* "192.0.2.1", "2001:db8::1" */
    const char *pcap;    /* file to write, NULL: none */
    bool strict;         /* an expected packet longer than a segment can be is not the sum of several */
    uint32_t ts_tick_us; /* timestamps count in units of so many us and are compared; 0: they are not */
    /* A line that did not come true: what was expected and what was sent, with the time. NULL: printed, then abort(). */
    void (*fail)(void *arg, const char *message);
    void *arg;
};

struct dialog_packet {
    uint64_t when;
    struct rte_mbuf *m;
};

struct dialog_ts {
    uint32_t script, live;
};

struct dialog {
    struct dialog_config config;
    struct sim *sim;
    struct sim_node *host;
    struct sim_link *link;
    struct ip_addr local, remote;
    uint64_t start;     /* the clock at the beginning */
    uint64_t when;      /* of the last line */
    uint64_t tolerance; /* of dialog_expect_after(), ns: 1 ms */
    /* the conversation: ports 0 until known */
    uint16_t lport, rport;
    bool isn_known, syn_seen;
    uint32_t isn_script, isn_live;
    uint16_t peer_mss; /* of the peer's last SYN; 0: none said */
    uint16_t next_rport;
    struct dialog_ts ts[64], first_ts;
    unsigned n_ts;
    struct dialog_packet *sent; /* by the host, not looked at yet: a ring that grows */
    unsigned sent_head, n_sent, sent_room;
};

/* A host with its address, a route and a peer behind a gateway. NULL with errno: ENOMEM, EINVAL (an address). */
struct dialog *dialog_new(const struct dialog_config *config);
/* Number of packet buffers that did not come back: 0 when all is well. */
int64_t dialog_free(struct dialog *d);

/* Runs the world; what is sent meanwhile waits for dialog_expect(). */
void dialog_run_until(struct dialog *d, uint64_t t);
void dialog_run_ms(struct dialog *d, double ms);
/* The next SYN, of either side, begins another conversation; lport: the host's port when the peer begins, 0 for DIALOG_PORT. */
void dialog_next(struct dialog *d, uint16_t lport);
/* The peer sends. */
void dialog_inject(struct dialog *d, const char *text);
/* The host's next packet is this one; waits for it, at most 600 s of virtual time. */
void dialog_expect(struct dialog *d, const char *text);
/* As dialog_expect(), and comes ms after the last line (inject, expect, run_ms or a call to dialog_mark). */
void dialog_expect_after(struct dialog *d, double ms, const char *text);
/* Nothing is sent for so long. */
void dialog_expect_silence(struct dialog *d, double ms);
void dialog_mark(struct dialog *d);

/* For scripts: 0 or -errno with a message. expected NULL: takes the packet whatever it is. */
int dialog_send(struct dialog *d, const struct segment *s, char *err, size_t errlen);
int dialog_take(struct dialog *d, const struct segment *expected, uint64_t until, uint64_t *when, char *err,
                size_t errlen);
