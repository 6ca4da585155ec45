// SPDX-License-Identifier: BSD-3-Clause
// The stacks by name, how many connections each has, and the change from one to another on a live connection (FreeBSD: tcp_functions(9)).
#pragma once
#include "tcp/stack.h"

struct tcp_layer;

#define TCP_STACKS_MAX 8 /* places for counts; what is no stack of the table (a test's) counts in the last */

/* Settings net.inet.tcp.functions_*. 0 or -errno. */
int tcp_functions_register(struct tcp_layer *t);
/* A new connection gets its stack. 0 or init's error. */
int tcp_stack_attach(struct tcb *tp, const struct tcp_stack *s);
/* The connection ends: its stack gives back what it has. */
void tcp_stack_detach(struct tcb *tp);
/*
 * To another stack, at any moment but from within a stack's own functions: init of the new one comes first, and when it fails the old one goes on
 * as if nothing had been (FreeBSD's D39210). What no stack knows of the other is told again by the peer, or found out by the timer: nothing
 * that was sent or queued is lost. 0 or init's error. handoff_ok is the caller's business.
 */
int tcp_stack_switch(struct tcb *tp, const struct tcp_stack *to);
/* The handshake has shown what the peer can do: a stack that cannot work with it (handoff_ok: -EINVAL) gives way to the default one. */
void tcp_stack_agree(struct tcb *tp);
/* An accepted connection has the stack of its listener (net.inet.tcp.functions_inherit_listen_socket_stack). */
void tcp_stack_inherit(struct tcb *tp, const struct tcb *listener);

/* TCP_FUNCTION_BLK (both), TCP_FUNCTION_ALIAS (get). -ENOPROTOOPT: another option. */
int tcp_functions_setopt(struct tcb *tp, int name, const void *val, uint32_t len);
int tcp_functions_getopt(const struct tcb *tp, int name, void *val, uint32_t *len);
