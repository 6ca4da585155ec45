// SPDX-License-Identifier: BSD-3-Clause
#include "blackbox/pcapng.h"
#include <string.h>
#include <netinet/in.h>
#include "blackbox/version.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "sections are little-endian, and records go out as they are");

enum { SECTION_HEADER = 0x0a0d0d0a, INTERFACE = 1, NAME_RESOLUTION = 4, ENHANCED_PACKET = 6 };
enum { NRB_END = 0, NRB_IPV4 = 1, NRB_IPV6 = 2 };
enum {
    OPT_END = 0,
    OPT_COMMENT = 1,
    OPT_SHB_USERAPPL = 4,
    OPT_IF_NAME = 2,
    OPT_IF_DESCRIPTION = 3,
    OPT_EPB_FLAGS = 2
};
enum { LINKTYPE_NULL = 0, FAMILY_IPV4 = 2, FAMILY_IPV6 = 28, TTL = 127 };
enum { IP4_HEADER = 20, IP6_HEADER = 40, TCP_HEADER = 20 };

/* ---- bytes ---- */

struct writer {
    uint8_t *at;
};
static void put(struct writer *w, const void *p, size_t n)
{
    memcpy(w->at, p, n);
    w->at += n;
}
static void put16(struct writer *w, uint16_t v)
{
    put(w, &v, sizeof(v));
}
static void put32(struct writer *w, uint32_t v)
{
    put(w, &v, sizeof(v));
}
static void pad4(struct writer *w, size_t n)
{
    for (; n % 4 != 0; n++)
        *w->at++ = 0;
}
static void option(struct writer *w, uint16_t code, const void *p, size_t n)
{
    put16(w, code);
    put16(w, (uint16_t)n);
    put(w, p, n);
    pad4(w, n);
}
static void option_text(struct writer *w, uint16_t code, const char *s)
{
    option(w, code, s, strnlen(s, 200));
}
static void option_end(struct writer *w)
{
    put32(w, OPT_END);
}
static void option_custom(struct writer *w, enum bb_option type, const void *p, size_t n)
{
    put16(w, BB_CUSTOM_OPT);
    put16(w, (uint16_t)(8 + n));
    put32(w, BB_PEN);
    put32(w, type);
    put(w, p, n);
    pad4(w, n);
}

/* A block begins; its length is known at its end. */
static uint8_t *block_begin(struct writer *w, uint32_t type)
{
    uint8_t *start = w->at;
    put32(w, type);
    put32(w, 0);
    return start;
}
static void block_end(struct writer *w, uint8_t *start)
{
    uint32_t len = (uint32_t)(w->at - start) + 4;
    memcpy(start + 4, &len, sizeof(len));
    put32(w, len);
}

/* ---- sections ---- */

static void interface(struct writer *w)
{
    uint8_t *b = block_begin(w, INTERFACE);
    put16(w, LINKTYPE_NULL);
    put16(w, 0);
    put32(w, BB_SNAPLEN);
    option_text(w, OPT_IF_NAME, "tcp");
    option_text(w, OPT_IF_DESCRIPTION, "segments as TCP saw them; IP headers are made up");
    option_end(w);
    block_end(w, b);
}

static void name(struct writer *w, const struct bb_encoder *en, const uint8_t addr[16], const char *name)
{
    bool v4 = en->h->tlh_af == FAMILY_IPV4;
    size_t len = v4 ? 4 : 16, n = name ? strnlen(name, 200) : 0;
    if (n == 0)
        return;
    put16(w, v4 ? NRB_IPV4 : NRB_IPV6);
    put16(w, (uint16_t)(len + n + 1));
    put(w, addr + 16 - len, len);
    put(w, name, n);
    *w->at++ = '\0';
    pad4(w, n + 1);
}

static void names(struct writer *w, const struct bb_encoder *en)
{
    if (!en->local_name && !en->peer_name)
        return;
    uint8_t *b = block_begin(w, NAME_RESOLUTION);
    name(w, en, en->h->tlh_ie.ie_laddr, en->local_name);
    name(w, en, en->h->tlh_ie.ie_faddr, en->peer_name);
    put32(w, NRB_END);
    block_end(w, b);
}

static void section(struct writer *w, const struct bb_encoder *en, const struct tcp_log_buffer *b0)
{
    const uint32_t version = TCP_LOG_BUF_VER;
    const char *stack = en->stack_name ? en->stack_name(b0->tlb_stackid) : NULL;
    uint8_t name[1 + 32] = {b0->tlb_stackid};
    uint64_t dumped = (uint64_t)b0->tlb_tv.tv_sec + (uint64_t)en->h->tlh_offset_sec;
    uint8_t *b = block_begin(w, SECTION_HEADER);
    put32(w, 0x1a2b3c4d);
    put16(w, 1);
    put16(w, 0);
    put32(w, UINT32_MAX); /* length: unknown */
    put32(w, UINT32_MAX);
    option_custom(w, BB_OPT_VERSION, &version, sizeof(version));
    option_custom(w, BB_OPT_DUMPTIME, &dumped, sizeof(dumped));
    option_custom(w, BB_OPT_DUMPINFO, en->h, sizeof(*en->h));
    if (stack) {
        size_t n = strnlen(stack, sizeof(name) - 1);
        memcpy(name + 1, stack, n);
        option_custom(w, BB_OPT_STACKNAME, name, 1 + n);
    }
    option_text(w, OPT_SHB_USERAPPL, "leat " LEAT_VERSION);
    if (en->program)
        option_text(w, OPT_COMMENT, en->program);
    option_end(w);
    block_end(w, b);
    interface(w);
    names(w, en);
}

static void skip(struct writer *w, uint32_t n)
{
    uint8_t *b = block_begin(w, BB_CUSTOM_BLOCK);
    put32(w, BB_PEN);
    put32(w, BB_BLOCK_SKIP);
    put32(w, n);
    option_end(w);
    block_end(w, b);
}

/* ---- packets ---- */

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return sum;
}
static void store_sum(uint8_t *at, uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    at[0] = (uint8_t) ~(sum >> 8);
    at[1] = (uint8_t)~sum;
}

/* The addresses in the order of the segment's direction; n bytes each. */
static void addresses(uint8_t *out, const struct bb_encoder *en, bool inbound, size_t n)
{
    const uint8_t *faddr = en->h->tlh_ie.ie_faddr + 16 - n, *laddr = en->h->tlh_ie.ie_laddr + 16 - n;
    memcpy(out, inbound ? faddr : laddr, n);
    memcpy(out + n, inbound ? laddr : faddr, n);
}

static size_t ip4_header(uint8_t *p, const struct bb_encoder *en, bool inbound, uint32_t l4_len)
{
    uint32_t total =
        IP4_HEADER + l4_len > 65535 ? 65535 : IP4_HEADER + l4_len; /* a TSO burst may be longer */
    memset(p, 0, IP4_HEADER);
    p[0] = 0x45;
    p[2] = (uint8_t)(total >> 8);
    p[3] = (uint8_t)total;
    p[8] = TTL;
    p[9] = IPPROTO_TCP;
    addresses(p + 12, en, inbound, 4);
    store_sum(p + 10, sum16(p, IP4_HEADER, 0));
    return IP4_HEADER;
}

static size_t ip6_header(uint8_t *p, const struct bb_encoder *en, bool inbound, uint32_t l4_len)
{
    uint32_t len = l4_len > 65535 ? 65535 : l4_len;
    memset(p, 0, IP6_HEADER);
    p[0] = 0x60;
    p[4] = (uint8_t)(len >> 8);
    p[5] = (uint8_t)len;
    p[6] = IPPROTO_TCP;
    p[7] = TTL;
    addresses(p + 8, en, inbound, 16);
    return IP6_HEADER;
}

static size_t tcp_header_len(const struct bb_record *r)
{
    size_t n = (size_t)(r->b.tlb_th[12] >> 4) * 4;
    return n < TCP_HEADER ? TCP_HEADER : n;
}

/* TCP header, options and what is kept of the data, with a checksum that is right when the data is whole. */
static size_t tcp_segment(uint8_t *p, const struct bb_record *r, uint32_t pseudo)
{
    size_t hlen = tcp_header_len(r);
    memcpy(p, r->b.tlb_th, TCP_HEADER);
    memcpy(p + TCP_HEADER, r->b.tlb_opts, hlen - TCP_HEADER);
    p[16] = p[17] = 0;
    if (r->payload_len > 0)
        memcpy(p + hlen, r->payload, r->payload_len);
    store_sum(p + 16, sum16(p, hlen + r->payload_len, pseudo));
    return hlen + r->payload_len;
}

static void packet(struct writer *w, const struct bb_encoder *en, const struct bb_record *r,
                   const struct tcp_log_buffer *info)
{
    bool inbound = r->b.tlb_eventid == TCP_LOG_IN, v4 = en->h->tlh_af == FAMILY_IPV4;
    uint32_t l4_len = (uint32_t)tcp_header_len(r) + r->b.tlb_len;
    uint64_t us = ((uint64_t)info->tlb_tv.tv_sec + (uint64_t)en->h->tlh_offset_sec) * 1000000 +
                  (uint64_t)info->tlb_tv.tv_usec + (uint64_t)en->h->tlh_offset_usec;
    uint8_t *b = block_begin(w, ENHANCED_PACKET);
    put32(w, 0);
    put32(w, (uint32_t)(us >> 32));
    put32(w, (uint32_t)us);
    uint8_t *lengths = w->at, *data = w->at + 8;
    w->at = data;
    put32(w, v4 ? FAMILY_IPV4 : FAMILY_IPV6);
    uint8_t *ip = w->at;
    w->at += v4 ? ip4_header(ip, en, inbound, l4_len) : ip6_header(ip, en, inbound, l4_len);
    uint32_t pseudo = v4 ? sum16(ip + 12, 8, l4_len + IPPROTO_TCP) : sum16(ip + 8, 32, l4_len + IPPROTO_TCP);
    uint32_t original = (uint32_t)(w->at - data) + l4_len;
    w->at += tcp_segment(w->at, r, pseudo);
    uint32_t captured = (uint32_t)(w->at - data), direction = inbound ? 1 : 2;
    memcpy(lengths, &captured, sizeof(captured));
    memcpy(lengths + 4, &original, sizeof(original));
    pad4(w, captured);
    option_custom(w, BB_OPT_TCPINFO, info, BB_TCPINFO_LEN);
    option(w, OPT_EPB_FLAGS, &direction, sizeof(direction));
    if (r->function)
        option_text(w, OPT_COMMENT, r->function);
    option_end(w);
    block_end(w, b);
}

static void event(struct writer *w, const struct bb_record *r, const struct tcp_log_buffer *info)
{
    uint8_t *b = block_begin(w, BB_CUSTOM_BLOCK);
    put32(w, BB_PEN);
    put32(w, BB_BLOCK_EVENT);
    option_custom(w, BB_OPT_TCPINFO, info, BB_TCPINFO_LEN);
    if (r->function)
        option_text(w, OPT_COMMENT, r->function);
    option_end(w);
    block_end(w, b);
}

size_t bb_encode(struct bb_encoder *en, const struct bb_record *r, uint8_t out[BB_ENCODED_MAX])
{
    struct writer w = {out};
    struct tcp_log_buffer info;
    bb_export(r, en->finish, &info);
    if (en->stackid != r->b.tlb_stackid) {
        section(&w, en, &info);
        en->stackid = r->b.tlb_stackid;
    }
    if (r->b.tlb_sn != en->next_serial)
        skip(&w, r->b.tlb_sn - en->next_serial);
    en->next_serial = r->b.tlb_sn + 1;
    if (r->b.tlb_eventflags & TLB_FLAG_HDR)
        packet(&w, en, r, &info);
    else
        event(&w, r, &info);
    return (size_t)(w.at - out);
}

size_t bb_encode_end(struct bb_encoder *en, uint32_t serial, uint8_t out[BB_ENCODED_MAX])
{
    static const struct tcp_log_buffer none = {.tlb_stackid = UINT8_MAX};
    struct writer w = {out};
    if (serial == en->next_serial)
        return 0;
    if (en->stackid < 0)
        section(&w, en, &none);
    skip(&w, serial - en->next_serial);
    en->next_serial = serial;
    return (size_t)(w.at - out);
}
