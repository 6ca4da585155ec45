// SPDX-License-Identifier: BSD-3-Clause
// TCP's probes of the black box. Off, each costs one branch on a pointer of the connection. docs/blackbox.md lists them.
#pragma once
#include "blackbox/blackbox.h"
#include "tcp/tcp.h"

struct tcp_segment;

static inline bool tcp_logging(const struct tcb *tp)
{
#ifdef LEAT_NO_BLACKBOX
    return false;
#else
    return __builtin_expect(tp->log != NULL, 0);
#endif
}

/* An event with what belongs to it: members of struct tcp_log_bbr, e.g. TCP_LOG_EVENT(tp, BBR_LOG_CWND, .flex1 = before). */
#define TCP_LOG_EVENT(TP, EVENT, ...)                                                                        \
    do {                                                                                                     \
        if (tcp_logging(TP))                                                                                 \
            tcp_log_event(TP, EVENT, &(const struct tcp_log_bbr){__VA_ARGS__}, __func__);                    \
    } while (0)

/* Calls, always: what they do would cost registers in the paths that they are called from, also when nothing is recorded. */
#define TCP_LOG_CALL __attribute__((noinline))
TCP_LOG_CALL void tcp_log_event(struct tcb *tp, uint8_t event, const struct tcp_log_bbr *x,
                                const char *function);
/* A segment before it is looked at. */
TCP_LOG_CALL void tcp_log_in(struct tcb *tp, const struct tcp_segment *s);
/* A segment before it leaves: m from the TCP header on, with len bytes of data; the record, for its errno, or NULL. */
TCP_LOG_CALL struct bb_record *tcp_log_out(struct tcb *tp, const struct rte_mbuf *m, uint32_t len,
                                           bool rexmit);
/* What the call for user floor did: write, sendfile, an event of the application's own. */
TCP_LOG_CALL void tcp_log_user_send(struct tcb *tp, uint32_t len, int err);
/* A call of the application, by FreeBSD's number, and what it gave: 0 or -errno, which is returned. */
enum tcp_log_pru { PRU_LISTEN = 3, PRU_CONNECT = 4, PRU_SHUTDOWN = 7, PRU_ABORT = 10, PRU_CLOSE = 24 };
int tcp_log_pru(struct tcb *tp, enum tcp_log_pru what, int result);
void tcp_log_sendfile(struct tcb *tp, uint64_t offset, uint64_t length, uint32_t flags);
void tcp_log_user_event(struct tcb *tp, uint32_t type, uint32_t subtype, const struct tcp_log_user *u);

/* TT_* as events name timers. */
enum tcp_log_timer { TLT_REXMT, TLT_PERSIST, TLT_KEEP, TLT_2MSL, TLT_DELACK, TLT_STACK };
enum tcp_log_timer_what { TLT_PROCESSING, TLT_PROCESSED, TLT_STARTING, TLT_STOPPING };
void tcp_log_timer(struct tcb *tp, enum tcp_timer which, enum tcp_log_timer_what what, uint64_t ns);

/* Trace points (net.inet.tcp.bb.tp.*): numbers of FreeBSD's. A connection that passes the one asked for begins to record,
 * and says so each time. */
enum tcp_trace_point { TP_ENOBUF = 2, TP_RESET_RCV = 6 };
void tcp_trace_point(struct tcb *tp, enum tcp_trace_point point);

/* The layer's part in the engine: log.c. 0 or -errno. */
int tcp_log_create(struct tcp_layer *t);
void tcp_log_destroy(struct tcp_layer *t);
/* A new connection, perhaps chosen by the automatic mode; one that ends, with the error it died of or 0. */
void tcp_log_attach(struct tcb *tp);
void tcp_log_detach(struct tcb *tp);
/* A ring for a connection that is asked for. -ENOBUFS. */
int tcp_log_open(struct tcb *tp);
/* logopt.c: options TCP_LOG*. -ENOPROTOOPT: none of them. */
int tcp_log_setopt(struct tcb *tp, int name, const void *val, uint32_t len);
int tcp_log_getopt(struct tcb *tp, int name, void *val, uint32_t *len);
