// SPDX-License-Identifier: BSD-3-Clause
// TCP-AO's arithmetic: traffic keys (RFC 5926 §3.1), the MAC (RFC 5925 §5.1), the upper half of sequence numbers (RFC 5925 §6.2).
#include <string.h>
#include <openssl/crypto.h>
#include <rte_byteorder.h>
#include "tcp/auth/keys.h"

/* Input of the KDF: counter, label, context, output length in bits. */
#define LABEL       "TCP-AO"
#define CONTEXT_MAX 44
#define INPUT_MAX   (1 + sizeof(LABEL) - 1 + CONTEXT_MAX + 2)

unsigned ao_traffic_len(enum auth_alg alg)
{
    return alg == AUTH_AES_CMAC ? 16 : alg == AUTH_HMAC_SHA1 ? 20 : 32;
}

struct writer {
    uint8_t *at;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    memcpy(w->at, bytes, n);
    w->at += n;
}

static void put32(struct writer *w, uint32_t v)
{
    v = rte_cpu_to_be_32(v);
    put(w, &v, sizeof(v));
}

static void put_address(struct writer *w, const struct ip_addr *a)
{
    if (ip_addr_is_v4(a))
        put(w, a->b + 12, 4);
    else
        put(w, a->b, 16);
}

/* RFC 5925 §5.2: addresses, ports, ISNs of the sender first. A SYN does not know the other ISN. */
static void put_context(struct writer *w, const struct auth_flow *f, bool sent, bool syn)
{
    put_address(w, sent ? &f->laddr : &f->faddr);
    put_address(w, sent ? &f->faddr : &f->laddr);
    put(w, sent ? &f->lport : &f->fport, 2);
    put(w, sent ? &f->fport : &f->lport, 2);
    put32(w, sent ? f->iss : f->irs);
    put32(w, syn ? 0 : sent ? f->irs : f->iss);
}

/* RFC 5926 §3.1.1.2: AES-CMAC wants 128 bits; any other length is first made so. */
static bool master_key(struct auth_layer *l, const struct auth_key *k, uint8_t *out, uint32_t *len)
{
    static const uint8_t zero[16];
    if (k->alg != AUTH_AES_CMAC || k->keylen == 16) {
        memcpy(out, k->key, k->keylen);
        *len = k->keylen;
        return true;
    }
    struct auth_piece piece = {k->key, k->keylen};
    return auth_mac(l, AUTH_AES_CMAC, zero, sizeof(zero), &piece, 1, NULL, 0, out, len);
}

bool ao_traffic_key(struct auth_layer *l, const struct auth_flow *f, bool sent, bool syn,
                    const struct auth_key *k, uint8_t *out)
{
    uint8_t input[INPUT_MAX], master[AUTH_KEY_MAX];
    uint16_t bits = rte_cpu_to_be_16((uint16_t)(8 * ao_traffic_len(k->alg)));
    struct writer w = {input};
    uint32_t len = 0;
    put(&w, "\1" LABEL, sizeof(LABEL));
    put_context(&w, f, sent, syn);
    put(&w, &bits, sizeof(bits));
    struct auth_piece piece = {input, (uint32_t)(w.at - input)};
    bool ok =
        master_key(l, k, master, &len) && auth_mac(l, k->alg, master, len, &piece, 1, NULL, 0, out, &len);
    OPENSSL_cleanse(master, sizeof(master));
    return ok;
}

bool ao_mac(struct auth_layer *l, const struct auth_flow *f, bool sent, const struct auth_key *k,
            const uint8_t *traffic, uint32_t sne, const struct rte_mbuf *m, const uint8_t *option,
            uint8_t *out)
{
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    uint32_t hlen = (th->data_off >> 4) * 4u, len, at = 0;
    uint32_t sne_be = rte_cpu_to_be_32(sne);
    uint8_t pseudo[40], header[60];
    unsigned n =
        auth_pseudo_header(sent ? &f->laddr : &f->faddr, sent ? &f->faddr : &f->laddr, m->pkt_len, pseudo);
    memcpy(header, th, hlen);
    ((struct rte_tcp_hdr *)header)->cksum = 0;
    at = (uint32_t)(option - (const uint8_t *)th);
    memset(header + at + 4, 0, k->maclen);
    struct auth_piece pieces[4] = {{&sne_be, 4}, {pseudo, n}, {header, hlen}};
    unsigned count = 3;
    if (k->keyflags & AUTH_KEYF_EXCLUDE_OPT) { /* only the option itself */
        pieces[2].len = sizeof(*th);
        pieces[count++] = (struct auth_piece){header + at, 4u + k->maclen};
    }
    return auth_mac(l, k->alg, traffic, ao_traffic_len(k->alg), pieces, count, m, hlen, out, &len) &&
           len >= k->maclen;
}

uint32_t ao_sne(const struct auth_sne *at, tcp_seq seq)
{
    if (seq_lt(seq, at->seq))
        return seq > at->seq ? at->sne - 1 : at->sne;
    return seq < at->seq ? at->sne + 1 : at->sne;
}

void ao_sne_move(struct auth_sne *at, tcp_seq seq)
{
    at->sne = ao_sne(at, seq);
    at->seq = seq;
}
