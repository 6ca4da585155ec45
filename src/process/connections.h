// SPDX-License-Identifier: BSD-3-Clause
// The connections of all engines as tools see them: copied a few at a time, with turns in between, so that a hundred thousand of them do not
// hold an engine up. What begins or ends meanwhile may be missing.
#pragma once
#include "process/tool.h"
#include "tcp/tcp.h"

struct connection {
    struct ip_addr laddr, faddr;
    uint16_t lport, fport; /* host order */
    uint8_t engine;
    uint8_t state;   /* enum tcp_state */
    bool v6, v6only; /* of the socket: a listener on :: that is not v6only takes IPv4 too */
    bool owned;      /* a socket has it */
    bool half_open;  /* an entry of the SYN cache: what follows but state, rexmits and idle is unknown */
    uint32_t recvq, sendq, rcv_hiwat, snd_hiwat, rcv_lowat, snd_lowat; /* bytes */
    uint32_t rcv_memory;                                               /* bytes of packet buffers held */
    uint32_t qlen, incqlen, qlimit;                                    /* of a listener */
    uint32_t cwnd, ssthresh, mss;                                      /* bytes */
    uint64_t rtt, rttvar, rto;                                         /* ns */
    uint64_t timer[TT_N];                                              /* ns from now; TIME_NEVER: off */
    uint64_t idle;                                                     /* ns since the last segment in */
    uint32_t rexmits, ooo, zerowin;                                    /* segments */
    uint64_t id;                                                       /* of the tcb; 0: half open */
    char stack[16], cc[16];
};

/* The two ends, as tools name them. */
struct connection_ends {
    struct ip_addr laddr, faddr;
    uint16_t lport, fport; /* network order */
};
#define CONNECTION_ENDS_STRLEN (2 * IP_ADDR_STRLEN + 16)
/* From 4 words, LOCAL-ADDRESS LOCAL-PORT FOREIGN-ADDRESS FOREIGN-PORT, or 2, ADDRESS:PORT ADDRESS:PORT, which are cut apart. False: *what is wrong with *arg. */
bool connection_ends_parse(int n, char **words, struct connection_ends *e, const char **what,
                           const char **arg);
/* "10.0.0.1 80 10.0.0.2 40000" */
const char *connection_ends_str(const struct connection_ends *e, char buf[CONNECTION_ENDS_STRLEN]);

/* Calls fn for each connection and listener, then each half-open connection, of every engine until it returns nonzero, and returns that; 0; or control_call()'s error. */
int connections_walk(struct process *p, int (*fn)(const struct connection *c, void *arg), void *arg);
/* "SYN_RCVD", ... as netstat(1) has them. connection_state(): its number, -1 for no such name. */
const char *connection_state_name(unsigned state);
int connection_state(const char *name);
/* "tcp4", "tcp6", "tcp46" */
const char *connection_proto(const struct connection *c);
/* The port's service when names are wanted and it has one, else its number; 0: "*". */
const char *connection_port(uint16_t port, bool names, char *buf, size_t size);
