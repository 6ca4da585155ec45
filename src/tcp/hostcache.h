// SPDX-License-Identifier: BSD-3-Clause
// What connections learned of the way to a host, kept for those that come after: round trip time, ssthresh, window, buffer sizes, path
// MTU (FreeBSD's TCP host cache, net.inet.tcp.hostcache). An aid only: what does not fit is forgotten.
#pragma once
#include <stdint.h>
#include "tcp/tcp.h"

/* Registers the settings; memory for hosts comes with the first of them. 0 or -errno. */
int hostcache_create(struct tcp_layer *t);
void hostcache_destroy(struct tcp_layer *t);
/* The peer answered the handshake, no round trip is measured yet: the connection begins with what others found. */
void hostcache_start(struct tcb *tp);
/* The connection has sent its last data: what it found, if it had four samples of the round trip, goes in once. */
void hostcache_learn(struct tcb *tp);
/* A believed ICMP too big: the path's MTU (kept by the IP floor) and an entry that shows it. */
void hostcache_mtu(struct tcb *tp, uint32_t mtu);
