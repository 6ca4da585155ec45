// SPDX-License-Identifier: BSD-3-Clause
// Among the files of authentication: keys, and the two algorithms.
#pragma once
#include <openssl/evp.h>
#include "tcp/auth/auth.h"

enum auth_alg { AUTH_MD5, AUTH_HMAC_SHA1, AUTH_AES_CMAC, AUTH_HMAC_SHA256, AUTH_N };

#define AUTH_KEYF_EXCLUDE_OPT                                                                                \
    2 /* the MAC does not cover other options (RFC 5925 §5.1; Linux: TCP_AO_KEYF_EXCLUDE_OPT) */

/* RFC 5925 §3.1: a master key tuple; or a password of RFC 2385. */
struct auth_key {
    TAILQ_ENTRY(auth_key) link;
    struct ip_addr peer;
    uint8_t plen; /* of the 128 bits */
    uint8_t alg;  /* enum auth_alg */
    uint8_t sndid, rcvid, maclen, keyflags, keylen;
    bool derived; /* snd and rcv are valid: only in the keys of a connection whose ISNs are known */
    uint8_t key[AUTH_KEY_MAX];
    uint8_t snd[AUTH_TRAFFIC_MAX], rcv[AUTH_TRAFFIC_MAX];
    uint64_t pkt_good, pkt_bad;
};
TAILQ_HEAD(auth_key_list, auth_key);

/* The upper half of a sequence number (RFC 5925 §6.2), known at one place and from there for 2^31 to both sides. */
struct auth_sne {
    tcp_seq seq;
    uint32_t sne;
};

struct tcp_auth {
    struct auth_key_list keys;
    struct auth_key *current,
        *rnext; /* AO, of a connection or of one to be: NULL = the first that is for the peer */
    struct auth_sne snd, rcv;
    bool sne_known;                          /* snd and rcv count from the ISNs */
    bool md5_required, ao_required;          /* no connection without */
    bool accept_icmps;                       /* AO: hear ICMP errors too */
    uint64_t pkt_good, pkt_bad, pkt_no_key;  /* AO, for TCP_AO_INFO */
    uint64_t pkt_required, pkt_dropped_icmp; /* likewise */
};

struct auth_layer { /* of the engine */
    struct pool keys, auths;
    uint32_t maxkeys;
    EVP_MD *md5; /* each fetched when the first key needs it */
    EVP_MD_CTX *md_ctx;
    EVP_MAC_CTX *mac[AUTH_N];
};

/* keys.c */
struct tcp_auth *auth_get(struct tcb *tp); /* made when there is none; NULL: no memory */
/* One more key, a copy of k. 0, -ENOMEM (net.inet.tcp.auth.maxkeys), -EOPNOTSUPP (libcrypto lacks the algorithm). */
int auth_key_add(struct tcb *tp, const struct auth_key *k, struct auth_key **out);
void auth_key_remove(struct tcb *tp, struct auth_key *k);
static inline bool auth_key_is_ao(const struct auth_key *k)
{
    return k->alg != AUTH_MD5;
}
bool auth_key_for(const struct auth_key *k, const struct ip_addr *peer);
/* The key with the longest prefix that covers the peer; NULL: none. */
struct auth_key *auth_md5_find(const struct tcp_auth *a, const struct ip_addr *peer);
/* By SendID or RecvID, -1: any; the longest prefix, then the first added. */
struct auth_key *auth_ao_find(const struct tcp_auth *a, const struct ip_addr *peer, int sndid, int rcvid);
/* TF_AUTH and maxseg agree with the keys again. */
void auth_keys_changed(struct tcb *tp);

/* mac.c: libcrypto's side. False: it failed. */
bool auth_alg_prepare(struct auth_layer *l, enum auth_alg alg);
struct auth_piece {
    const void *data;
    uint32_t len;
};
#define AUTH_PIECES 6
/* The digest over the pieces and then all of m behind its first skip bytes. out: AUTH_TRAFFIC_MAX bytes; *len what of it is used. */
bool auth_mac(struct auth_layer *l, enum auth_alg alg, const void *key, uint32_t keylen,
              const struct auth_piece *pieces, unsigned n, const struct rte_mbuf *m, uint32_t skip,
              uint8_t *out, uint32_t *len);
bool auth_md5(struct auth_layer *l, const struct auth_piece *pieces, unsigned n, const struct rte_mbuf *m,
              uint32_t skip, const struct auth_key *key, uint8_t *out);
/* RFC 2385 §2.0, RFC 5925 §5.1: 12 or 40 bytes at out. Returns how many. */
unsigned auth_pseudo_header(const struct ip_addr *src, const struct ip_addr *dst, uint32_t len, uint8_t *out);

/* md5.c, ao.c. sent: the segment is ours, else the peer's. m's data begins at the TCP header. */
bool md5_digest(struct auth_layer *l, const struct auth_flow *f, bool sent, const struct auth_key *k,
                const struct rte_mbuf *m, uint8_t *out);
/* The key of one direction (RFC 5926 §3.1). syn: of a SYN without ACK, when the other ISN is not known. */
bool ao_traffic_key(struct auth_layer *l, const struct auth_flow *f, bool sent, bool syn,
                    const struct auth_key *k, uint8_t *out);
/* The MAC, k->maclen bytes of out (AUTH_TRAFFIC_MAX); option: the segment's TCP-AO option. */
bool ao_mac(struct auth_layer *l, const struct auth_flow *f, bool sent, const struct auth_key *k,
            const uint8_t *traffic, uint32_t sne, const struct rte_mbuf *m, const uint8_t *option,
            uint8_t *out);
unsigned ao_traffic_len(enum auth_alg alg);
/* The upper half for seq, which lies within 2^31 of at->seq; and moving the place there. */
uint32_t ao_sne(const struct auth_sne *at, tcp_seq seq);
void ao_sne_move(struct auth_sne *at, tcp_seq seq);
