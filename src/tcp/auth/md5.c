// SPDX-License-Identifier: BSD-3-Clause
// RFC 2385 §2.0: MD5 over the pseudo header, the TCP header without options and with checksum 0, the data, the password.
#include "tcp/auth/keys.h"

bool md5_digest(struct auth_layer *l, const struct auth_flow *f, bool sent, const struct auth_key *k,
                const struct rte_mbuf *m, uint8_t *out)
{
    uint8_t pseudo[40];
    struct rte_tcp_hdr th = *rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    th.cksum = 0;
    unsigned n =
        auth_pseudo_header(sent ? &f->laddr : &f->faddr, sent ? &f->faddr : &f->laddr, m->pkt_len, pseudo);
    struct auth_piece pieces[2] = {{pseudo, n}, {&th, sizeof(th)}};
    return auth_md5(l, pieces, 2, m, (th.data_off >> 4) * 4u, k, out);
}
