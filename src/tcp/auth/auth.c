// SPDX-License-Identifier: BSD-3-Clause
// The station of authentication: checks what comes, signs what goes.
#include <string.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <openssl/crypto.h>
#include "tcp/auth/keys.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

static struct auth_layer *layer_of(const struct tcb *tp)
{
    return tp->e->tcp->auth;
}

/* ---- what is drop-worthy, each in its counter ---- */

static bool dropped(uint64_t *counter)
{
    (*counter)++;
    return false;
}

/* The peer signs, and no key is for it; or it signs with the other kind. */
static bool unexpected(struct tcp_stats *st, const struct tcp_segment *s)
{
    return dropped(s->opt.auth[0] == TCPOPT_AO ? &st->ao_unexpected : &st->sig_err_sigopts);
}

/* ---- MD5 ---- */

static bool check_md5(const struct tcb *tp, const struct auth_key *k, const struct auth_flow *f,
                      const struct tcp_segment *s)
{
    struct tcp_stats *st = tcp_stats(tp->e);
    uint8_t digest[AUTH_MD5_BYTES];
    if (!(s->opt.seen & TOF_AUTH))
        return dropped(&st->sig_err_nosigopt);
    if (s->opt.auth[0] != TCPOPT_SIGNATURE)
        return unexpected(st, s);
    if ((s->opt.seen & TOF_BADAUTH) || !md5_digest(layer_of(tp), f, false, k, s->m, digest) ||
        CRYPTO_memcmp(digest, s->opt.auth + 2, sizeof(digest)) != 0)
        return dropped(&st->sig_rcvbadsig);
    st->sig_rcvgoodsig++;
    return true;
}

/* ---- AO ---- */

/* The traffic key of one direction, from the key's store when the connection has both ISNs. */
static const uint8_t *traffic_key(const struct tcb *tp, const struct auth_flow *f, struct auth_key *k,
                                  bool sent, bool syn, uint8_t *scratch)
{
    struct auth_layer *l = layer_of(tp);
    if (syn || !tp->auth->sne_known)
        return ao_traffic_key(l, f, sent, syn, k, scratch) ? scratch : NULL;
    if (!k->derived)
        k->derived =
            ao_traffic_key(l, f, true, false, k, k->snd) && ao_traffic_key(l, f, false, false, k, k->rcv);
    return !k->derived ? NULL : sent ? k->snd : k->rcv;
}

static bool mac_good(const struct tcb *tp, const struct auth_flow *f, struct auth_key *k,
                     const struct tcp_segment *s, uint32_t sne)
{
    uint8_t scratch[AUTH_TRAFFIC_MAX], mac[AUTH_TRAFFIC_MAX];
    bool syn = (s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
    if ((s->opt.seen & TOF_BADAUTH) || s->opt.auth[1] != 4u + k->maclen)
        return false;
    const uint8_t *key = traffic_key(tp, f, k, false, syn, scratch);
    bool good = key && ao_mac(layer_of(tp), f, false, k, key, sne, s->m, s->opt.auth, mac) &&
                CRYPTO_memcmp(mac, s->opt.auth + 4, k->maclen) == 0;
    OPENSSL_cleanse(scratch, sizeof(scratch));
    return good;
}

/* RFC 5925 §7.5. used: the key that was good. */
static bool check_ao(const struct tcb *tp, const struct auth_flow *f, const struct tcp_segment *s,
                     uint32_t sne, struct auth_key **used)
{
    struct tcp_stats *st = tcp_stats(tp->e);
    struct tcp_auth *a = tp->auth;
    if (!(s->opt.seen & TOF_AUTH)) {
        a->pkt_required++;
        return dropped(&st->ao_required);
    }
    if (s->opt.auth[0] != TCPOPT_AO)
        return unexpected(st, s);
    struct auth_key *k = auth_ao_find(a, &f->faddr, -1, s->opt.auth[2]);
    if (!k) {
        a->pkt_no_key++;
        return dropped(&st->ao_keynotfound);
    }
    if (!mac_good(tp, f, k, s, sne)) {
        k->pkt_bad++;
        a->pkt_bad++;
        return dropped(&st->ao_bad);
    }
    k->pkt_good++;
    a->pkt_good++;
    st->ao_good++;
    *used = k;
    return true;
}

/* ---- connections ---- */

static struct auth_flow flow_of(const struct tcb *tp)
{
    return (struct auth_flow){tp->laddr, tp->faddr, tp->lport, tp->fport, tp->iss, tp->irs};
}

/* The place from which sequence numbers' upper halves are told moves along; it begins when both ISNs are known. */
static void follow(struct tcb *tp)
{
    struct tcp_auth *a = tp->auth;
    if (!a->sne_known && TCPS_HAVERCVDSYN(tp->state)) {
        a->snd = (struct auth_sne){tp->iss, 0};
        a->rcv = (struct auth_sne){tp->irs, 0};
        a->sne_known = true;
    }
    if (a->sne_known) {
        ao_sne_move(&a->snd, tp->snd_una);
        ao_sne_move(&a->rcv, tp->rcv_nxt);
    }
}

/* RFC 5925 §7.5 step 4d: the peer asks for another key. */
static void peer_wants(struct tcp_auth *a, const struct ip_addr *peer, uint8_t keyid)
{
    if (a->current && a->current->sndid == keyid)
        return;
    struct auth_key *k = auth_ao_find(a, peer, keyid, -1);
    if (k)
        a->current = k;
}

static bool input_ao(struct tcb *tp, const struct tcp_segment *s)
{
    struct tcp_auth *a = tp->auth;
    struct auth_flow f = flow_of(tp);
    struct auth_key *used = NULL;
    follow(tp);
    bool syn = s->flags & RTE_TCP_SYN_FLAG;
    /* Its own number is the ISN of a SYN; a RST that answers our SYN has nothing else either. */
    if (syn || tp->state == TCPS_SYN_SENT)
        f.irs = s->seq;
    uint32_t sne = a->sne_known && !syn ? ao_sne(&a->rcv, s->seq) : 0;
    if (!check_ao(tp, &f, s, sne, &used))
        return false;
    if (TCPS_HAVERCVDSYN(tp->state) || syn)
        peer_wants(a, &tp->faddr, s->opt.auth[3]);
    return true;
}

bool tcp_auth_input(struct tcb *tp, const struct tcp_segment *s)
{
    const struct tcp_auth *a = tp->auth;
    if (!(tp->flags & TF_AUTH))
        return unexpected(tcp_stats(tp->e), s);
    const struct auth_key *md5 = auth_md5_find(a, &tp->faddr);
    if (!md5)
        return input_ao(tp, s);
    struct auth_flow f = flow_of(tp);
    return check_md5(tp, md5, &f, s);
}

/* ---- listeners ---- */

static struct auth_flow flow_of_segment(const struct tcp_segment *s)
{
    const struct pkt_info *info = segment_info(s);
    struct auth_flow f = {info->dst, info->src, s->th->dst_port, s->th->src_port, 0, s->seq};
    if (s->flags & RTE_TCP_ACK_FLAG)
        f.iss = s->ack - 1;
    if (!(s->flags & RTE_TCP_SYN_FLAG))
        f.irs = s->seq - 1;
    return f;
}

/* The peer's SYN was signed with k: we answer with the key that it asks for, or else the same. */
static struct auth_choice answer_with(const struct tcp_auth *a, const struct ip_addr *peer,
                                      const struct auth_key *k, uint8_t wanted)
{
    const struct auth_key *ours = auth_ao_find(a, peer, wanted, -1);
    if (!ours)
        ours = k;
    return (struct auth_choice){TCPOPT_AO, ours->maclen, ours->sndid, k->rcvid};
}

static bool listen_check(const struct tcb *listener, const struct auth_flow *f, const struct tcp_segment *s,
                         struct auth_choice *choice)
{
    struct tcp_stats *st = tcp_stats(listener->e);
    const struct tcp_auth *a = listener->auth;
    const struct auth_key *md5 = a ? auth_md5_find(a, &f->faddr) : NULL;
    struct auth_key *used = NULL;
    *choice = (struct auth_choice){0};
    if (md5) {
        *choice = (struct auth_choice){.kind = TCPOPT_SIGNATURE, .maclen = AUTH_MD5_BYTES};
        return check_md5(listener, md5, f, s);
    }
    if (!a || !auth_ao_find(a, &f->faddr, -1, -1)) { /* not a peer of ours */
        if (s->opt.seen & TOF_AUTH)
            return unexpected(st, s);
        if (a && a->md5_required)
            return dropped(&st->sig_err_nosigopt);
        return a && a->ao_required ? dropped(&st->ao_required) : true;
    }
    bool syn = s->flags & RTE_TCP_SYN_FLAG;
    struct auth_sne at = {f->irs, 0};
    if (!check_ao(listener, f, s, syn ? 0 : ao_sne(&at, s->seq), &used))
        return false;
    *choice = answer_with(a, &f->faddr, used, s->opt.auth[3]);
    return true;
}

bool tcp_auth_listen(const struct tcb *listener, const struct tcp_segment *s, struct auth_choice *choice)
{
    struct auth_flow f = flow_of_segment(s);
    const struct half_open *h = syncache_find(listener->e->tcp->syncache, segment_info(s)->hash, &f.faddr,
                                              &f.laddr, f.fport, f.lport);
    if (h && !(s->flags & RTE_TCP_SYN_FLAG)) {
        f.iss = h->iss;
        f.irs = h->irs;
    }
    return listen_check(listener, &f, s, choice);
}

/* ICMPv4 unreachable of protocol, port and too big; ICMPv6 prohibited and port. */
static bool icmp_doubtful(const struct tcb *tp, int type, int code)
{
    if (ip_addr_is_v4(&tp->faddr))
        return type == ICMP_DEST_UNREACH && code >= ICMP_PROT_UNREACH && code <= ICMP_FRAG_NEEDED;
    return type == ICMP6_DST_UNREACH && (code == ICMP6_DST_UNREACH_ADMIN || code == ICMP6_DST_UNREACH_NOPORT);
}

bool tcp_auth_icmp(struct tcb *tp, int type, int code)
{
    struct tcp_auth *a = tp->auth;
    if (!(tp->flags & TF_AUTH) || a->accept_icmps || auth_md5_find(a, &tp->faddr) ||
        !icmp_doubtful(tp, type, code))
        return true;
    a->pkt_dropped_icmp++;
    return dropped(&tcp_stats(tp->e)->ao_dropped_icmps);
}

/* ---- output ---- */

unsigned tcp_auth_option(const struct auth_choice *c, uint8_t *out, unsigned len)
{
    bool md5 = c->kind == TCPOPT_SIGNATURE;
    unsigned at = len, size = (md5 ? 2u : 4u) + c->maclen;
    if (c->kind == 0)
        return len;
    while (at % 4 != (md5 ? 2u : 0u))
        at++;
    if (at + size > 40)
        return len;
    memset(out + len, TCPOPT_NOP, at - len);
    out[at] = c->kind;
    out[at + 1] = (uint8_t)size;
    if (!md5) {
        out[at + 2] = c->keyid;
        out[at + 3] = c->rnext;
    }
    memset(out + at + size - c->maclen, 0, c->maclen);
    for (at += size; at % 4 != 0; at++)
        out[at] = TCPOPT_NOP;
    return at;
}

/* The key of a connection to be or to go on: the one chosen, or the first that is for the peer. */
static struct auth_key *current_key(const struct tcp_auth *a, const struct ip_addr *peer)
{
    return a->current ? a->current : auth_ao_find(a, peer, -1, -1);
}

static struct auth_choice choose(const struct tcb *tp, const struct ip_addr *peer)
{
    const struct tcp_auth *a = tp->auth;
    if (!(tp->flags & TF_AUTH))
        return (struct auth_choice){0};
    if (auth_md5_find(a, peer))
        return (struct auth_choice){.kind = TCPOPT_SIGNATURE, .maclen = AUTH_MD5_BYTES};
    const struct auth_key *current = current_key(a, peer);
    if (!current)
        return (struct auth_choice){0};
    return (struct auth_choice){TCPOPT_AO, current->maclen, current->sndid,
                                (a->rnext ? a->rnext : current)->rcvid};
}

struct auth_choice tcp_auth_choice(const struct tcb *tp)
{
    return choose(tp, &tp->faddr);
}

unsigned tcp_auth_respond_option(const struct tcb *tp, const struct ip_addr *peer, uint8_t *out)
{
    struct auth_choice c = choose(tp, peer);
    return tcp_auth_option(&c, out, 0);
}

/* The option in the finished header at th; NULL: none. */
static uint8_t *option_in(struct rte_tcp_hdr *th)
{
    uint8_t *at = (uint8_t *)(th + 1), *end = (uint8_t *)th + (th->data_off >> 4) * 4u;
    while (at < end && *at != TCPOPT_EOL) {
        if (*at == TCPOPT_SIGNATURE || *at == TCPOPT_AO)
            return at;
        at += *at == TCPOPT_NOP ? 1 : at[1];
    }
    return NULL;
}

static bool sign_md5(struct auth_layer *l, const struct auth_key *k, const struct auth_flow *f,
                     struct rte_mbuf *m, uint8_t *option)
{
    return k && md5_digest(l, f, true, k, m, option + 2);
}

static bool sign_ao(const struct tcb *tp, struct auth_key *k, const struct auth_flow *f, uint32_t sne,
                    struct rte_mbuf *m, uint8_t *option)
{
    uint8_t scratch[AUTH_TRAFFIC_MAX], mac[AUTH_TRAFFIC_MAX];
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    bool syn = (th->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
    const uint8_t *key = k ? traffic_key(tp, f, k, true, syn, scratch) : NULL;
    if (!key || !ao_mac(layer_of(tp), f, true, k, key, sne, m, option, mac))
        return false;
    memcpy(option + 4, mac, k->maclen);
    OPENSSL_cleanse(scratch, sizeof(scratch));
    return true;
}

static bool built(const struct tcb *tp, bool ok)
{
    return ok || dropped(&tcp_stats(tp->e)->sig_err_buildsig);
}

bool tcp_auth_sign(struct tcb *tp, struct rte_mbuf *m)
{
    struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
    struct tcp_auth *a = tp->auth;
    uint8_t *option = option_in(th);
    if (!option)
        return built(tp, false);
    struct auth_flow f = flow_of(tp);
    if (*option == TCPOPT_SIGNATURE)
        return built(tp, sign_md5(layer_of(tp), auth_md5_find(a, &tp->faddr), &f, m, option));
    follow(tp);
    bool syn = th->tcp_flags & RTE_TCP_SYN_FLAG;
    uint32_t sne = a->sne_known && !syn ? ao_sne(&a->snd, rte_be_to_cpu_32(th->sent_seq)) : 0;
    return built(tp, sign_ao(tp, current_key(a, &tp->faddr), &f, sne, m, option));
}

bool tcp_auth_sign_flow(const struct tcb *tp, const struct auth_choice *choice, const struct auth_flow *f,
                        struct rte_mbuf *m)
{
    uint8_t *option = option_in(rte_pktmbuf_mtod(m, struct rte_tcp_hdr *));
    const struct tcp_auth *a = tp->auth;
    bool ok = false;
    if (a && option && choice->kind == TCPOPT_SIGNATURE)
        ok = sign_md5(layer_of(tp), auth_md5_find(a, &f->faddr), f, m, option);
    else if (a && option)
        ok = sign_ao(tp, auth_ao_find(a, &f->faddr, choice->keyid, -1), f, 0, m, option);
    return built(tp, ok);
}

/*
 * The peer reads our RST with its own ISN and, in SYN_SENT, with the RST's number as ours. In answer to a segment of a connection that
 * we know nothing of there are no ISNs to sign with: such a RST is not believed.
 */
bool tcp_auth_sign_answer(const struct tcb *tp, struct rte_mbuf *got, struct rte_mbuf *r)
{
    const struct pkt_info *info = pkt_info(got);
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(got, const struct rte_tcp_hdr *);
    bool syn = th->tcp_flags & RTE_TCP_SYN_FLAG, connection = tp->fport != 0;
    struct auth_flow f = {info->dst, info->src, th->dst_port, th->src_port, 0, 0};
    if (connection)
        f.iss = tp->iss;
    else if (th->tcp_flags & RTE_TCP_ACK_FLAG)
        f.iss = rte_be_to_cpu_32(th->recv_ack) - 1;
    f.irs = connection && tp->state != TCPS_SYN_SENT ? tp->irs : rte_be_to_cpu_32(th->sent_seq) - !syn;
    struct auth_choice c = choose(tp, &info->src);
    return tcp_auth_sign_flow(tp, &c, &f, r);
}
