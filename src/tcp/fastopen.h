// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open (RFC 7413): data in the SYN for who shows a cookie that this address was given before. Keys and cookies: fastopen_keys.c;
// the server's side: fastopen.c; the client's and its cookie cache: fastopen_client.c; settings and counters: fastopen_params.c.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/ipaddr.h"
#include "base/pool.h"
#include "base/rng.h"
#include "tcp/input.h"

#define FASTOPEN_COOKIE_MAX 16 /* RFC 7413 §4.1.1 */
#define FASTOPEN_COOKIE_LEN 8  /* of ours */
#define FASTOPEN_KEY_LEN    16
#define FASTOPEN_KEYS       2 /* that live at a time, of each kind */

/* The option, as it is sent. */
struct fastopen_option {
    uint8_t len;       /* of the cookie; 0: a request */
    bool experimental; /* kind 254 and 0xF989 instead of 34 */
    uint8_t cookie[FASTOPEN_COOKIE_MAX];
};
/* RFC 7413 §4.1.1 with its errata: 0 (a request), or 4 to 16 and even. */
static inline bool fastopen_length_good(uint8_t len)
{
    return len == 0 || (len >= 4 && len <= FASTOPEN_COOKIE_MAX && len % 2 == 0);
}

/* The last keys that were set: a new one takes the place of the oldest. */
struct fastopen_ring {
    uint8_t key[FASTOPEN_KEYS][FASTOPEN_KEY_LEN];
    uint32_t newest, n;
};

struct fastopen_params { /* net.inet.tcp.fastopen.* */
    bool server_enable, client_enable, psk_enable, acceptany, ccache_port;
    uint32_t autokey_s, ccache_buckets, ccache_bucket_limit, path_disable_s;
};

#define FASTOPEN_STATS(X)                                                                                    \
    X(cookie_requested, "connections", "Client: cookie requests sent")                                       \
    X(cookie_received, "cookies", "Client: cookies received")                                                \
    X(cookie_refused, "segments", "Client: SYN-ACKs whose cookie has an impossible length")                  \
    X(syn_data_sent, "connections", "Client: SYNs sent with data")                                           \
    X(syn_data_acked, "connections", "Client: whose SYN-ACK acknowledged all data of the SYN")               \
    X(syn_data_partial, "connections", "Client: whose SYN-ACK acknowledged some data of the SYN")            \
    X(syn_data_fallback, "connections", "Client: whose SYN-ACK acknowledged no data of the SYN")             \
    X(path_disabled, "paths", "Client: paths disabled, for any reason")                                      \
    X(path_blackhole, "paths", "Client: of these, only a SYN without option was answered")                   \
    X(path_skipped, "connections", "Client: ordinary handshakes on a disabled path")                         \
    X(ccache_replaced, "cookies", "Client: cookies least recently used that went for others")                \
    X(ccache_nomem, "connections", "Client: no memory for a cookie or for Fast Open")                        \
    X(server_request, "segments", "Server: cookie requests received")                                        \
    X(server_cookie_sent, "segments", "Server: cookies sent in SYN-ACKs")                                    \
    X(server_cookie_valid, "segments", "Server: SYNs with a valid cookie")                                   \
    X(server_cookie_invalid, "segments", "Server: SYNs with a cookie that is not valid")                     \
    X(server_cookie_badlen, "segments", "Server: SYNs with a cookie of impossible length")                   \
    X(server_psk_invalid, "segments", "Server: SYNs whose cookie does not prove a pre-shared key")           \
    X(server_nokey, "segments", "Server: SYNs with the option while there was no key")                       \
    X(server_pending_overflow, "segments", "Server: valid or not, too many pending; ordinary handshake")     \
    X(server_half_open, "segments", "Server: SYNs with the option for an ordinary half-open connection")     \
    X(passive_open, "connections", "Server: connections made by a SYN with a valid cookie")                  \
    X(passive_nomem, "connections", "Server: not made: accept queue full, or memory")                        \
    X(passive_established, "connections", "Server: whose handshake ended well")                              \
    X(passive_reset, "connections", "Server: reset before their handshake ended (RFC 7413 section 5.1)")     \
    X(passive_failed, "connections", "Server: that ended otherwise before")                                  \
    X(syn_data_received, "connections", "Server: SYNs whose data was delivered")                             \
    X(syn_repeated, "connections", "Server: connections made by a SYN that had made one before")

struct fastopen_stats {
#define FASTOPEN_STATS_FIELD(name, unit, desc) uint64_t name;
    FASTOPEN_STATS(FASTOPEN_STATS_FIELD)
#undef FASTOPEN_STATS_FIELD
};

struct fastopen_entry;
TAILQ_HEAD(fastopen_entries, fastopen_entry);
struct fastopen_bucket {
    struct fastopen_entries entries; /* most recently used first */
    uint32_t n;
};

#define FASTOPEN_SEEN 1024

struct tcp_fastopen {
    struct tcp_layer *t;
    struct fastopen_params params;
    struct fastopen_stats stats;
    struct fastopen_ring keys, psks;
    uint64_t auto_period;            /* of the newest automatic key; 0: none yet */
    struct pool states, entries;     /* of connections; of the cookie cache */
    struct fastopen_bucket *buckets; /* NULL: no cookie yet */
    uint32_t mask;
    uint32_t seen[FASTOPEN_SEEN]; /* SYNs that made connections, by hash: which come again */
};

/* A listener's Fast Open connections that are not established, and those that were reset: they count for a time (RFC 7413 §5.1). */
struct fastopen_queue;

/* Of a connection or listener that uses Fast Open. */
struct fastopen {
    struct fastopen_option option; /* client: to be sent; server: to be sent back */
    bool offered;                  /* the option goes with the first SYN or SYN-ACK */
    bool may_carry;                /* client: data may go with it */
    bool deferred;                 /* TCP_FASTOPEN_CONNECT: the SYN waits for the first write */
    bool may_defer;                /* TCP_FASTOPEN_CONNECT is set */
    bool has_psk;
    bool holds;          /* server: a place in queue */
    bool early;          /* server: made by a SYN with a cookie */
    bool syn_data;       /* data came or went with the SYN and was acknowledged */
    bool fin;            /* server: a FIN came with the SYN; the state follows when the handshake is over */
    uint32_t syn_len;    /* client: data bytes of our SYN */
    uint32_t queue_want; /* TCP_FASTOPEN's value */
    uint16_t mss;        /* client: the peer's, as cached */
    struct fastopen_queue *queue;
    uint8_t psk[FASTOPEN_KEY_LEN];
};

/* fastopen_params.c: 0 or -errno */
int fastopen_create(struct tcp_layer *t);
void fastopen_destroy(struct tcp_layer *t);

/* ---- keys ---- */

/* The cookie of addr under key, as it goes over the wire (SipHash-2-4 of 4 or 16 address bytes). */
uint64_t fastopen_cookie(const uint8_t key[FASTOPEN_KEY_LEN], const struct ip_addr *addr);
/* What proves the possession of psk to whoever gave the cookie. */
uint64_t fastopen_proof(const uint8_t psk[FASTOPEN_KEY_LEN], const uint8_t *cookie, uint8_t len);
void fastopen_ring_add(struct fastopen_ring *r, const uint8_t key[FASTOPEN_KEY_LEN]);
void fastopen_ring_clear(struct fastopen_ring *r);
/* A new automatic key when its time has come (net.inet.tcp.fastopen.autokey). */
void fastopen_keys_refresh(struct tcp_layer *t);
enum fastopen_validity { FASTOPEN_VALID, FASTOPEN_INVALID, FASTOPEN_UNPROVEN };
/* Is it addr's cookie under one of the keys; with PSKs in force (own: the listener's, or NULL): its proof? In constant time. */
enum fastopen_validity fastopen_check(struct tcp_layer *t, const uint8_t *own_psk, const struct ip_addr *addr,
                                      const uint8_t *cookie, uint8_t len);
/* addr's cookie under the newest key. False: there is no key. */
bool fastopen_fresh(struct tcp_layer *t, const struct ip_addr *addr, struct fastopen_option *out);

/* ---- any connection ---- */

/* tp's state, made when needed. NULL: no memory. */
struct fastopen *fastopen_state(struct tcb *tp);
/* TCP_FASTOPEN: an int, or an int and a key of 16 bytes. TCP_FASTOPEN_CONNECT. 0 or -errno. */
int fastopen_setopt(struct tcb *tp, const void *val, uint32_t len);
int fastopen_connect_setopt(struct tcb *tp, int v);
int fastopen_getopt(const struct tcb *tp);
/* In SYN_SENT and SYN_RECEIVED: what may be sent, is. */
void fastopen_output(struct tcb *tp);
/* The application wrote, reads or closes its side before the handshake is over. */
void fastopen_kick(struct tcb *tp);
/* The wire is done with tp; tp goes. */
void fastopen_closed(struct tcb *tp);
void fastopen_free(struct tcb *tp);

/* ---- server ---- */

enum fastopen_verdict {
    FASTOPEN_ORDINARY, /* an ordinary handshake */
    FASTOPEN_ANSWER,   /* the same, and the SYN-ACK carries *answer */
    FASTOPEN_ACCEPT    /* a connection at once; its SYN-ACK carries *answer if it has a cookie */
};
enum fastopen_verdict fastopen_syn(struct tcb *listener, const struct tcp_segment *s,
                                   struct fastopen_option *answer);
/* tp listens: its queue. 0, -ENOBUFS. */
int fastopen_listen(struct tcb *tp);
/* tp, in SYN_RECEIVED, was made by the SYN s of a listener: takes its place, delivers the data. False: no memory, tp is as it was. */
bool fastopen_take(struct tcb *listener, struct tcb *tp, struct tcp_segment *s,
                   const struct fastopen_option *answer);
/* Has the peer sent all it will, while the handshake goes on? */
static inline bool fastopen_fin(const struct tcb *tp)
{
    return tp->state == TCPS_SYN_RECEIVED && tp->fastopen && tp->fastopen->fin;
}
/* Its handshake ended well; by a RST. */
void fastopen_established(struct tcb *tp);
void fastopen_reset(struct tcb *tp);

/* ---- client ---- */

/* tp is about to send its SYN. with_data: what is written goes with it, if there is a cookie. */
void fastopen_connect(struct tcb *tp, bool with_data);
/* Is the SYN waiting for data? */
static inline bool fastopen_deferred(const struct tcb *tp)
{
    return tp->fastopen && tp->fastopen->deferred;
}
/* A good SYN-ACK came; snd_una is behind the SYN. */
void fastopen_synack(struct tcb *tp, const struct tcp_segment *s);
/* The handshake failed for good by an ICMP error. */
void fastopen_path_failed(struct tcb *tp);
void fastopen_cache_init(struct tcp_fastopen *f);
void fastopen_cache_flush(struct tcp_fastopen *f);
/* Every bucket at most so long. */
void fastopen_cache_trim(struct tcp_fastopen *f, uint32_t limit);
/* A table of it, a line for each entry from *cursor on. */
int fastopen_cache_print(struct tcp_layer *t, uint64_t *cursor, char *buf, size_t size);
