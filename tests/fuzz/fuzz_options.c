// SPDX-License-Identifier: BSD-3-Clause
// TCP options of any bytes, as of a SYN and of another segment: what was read lies within them and within its ranges (RFC 7323, RFC 2018,
// RFC 7413 §4.1.1).
#include <assert.h>
#include "tcp/fastopen.h"
#include "tcp/options.h"

static void check(const struct tcp_options *o, const uint8_t *p, uint32_t len, bool syn)
{
    if (o->seen & TOF_SCALE)
        assert(o->wscale <= TCP_MAX_WINSHIFT);
    assert(o->n_sack <= TCP_MAX_SACK);
    assert(syn || !(o->seen & (TOF_MSS | TOF_SCALE | TOF_SACKPERM | TOF_FASTOPEN)));
    if (!(o->seen & TOF_FASTOPEN))
        return;
    uint32_t head = o->fo_experimental ? 4 : 2;
    assert(o->fo_cookie >= p + head && o->fo_cookie + o->fo_len <= p + len);
    const uint8_t *option = o->fo_cookie - head;
    assert(option[0] == (o->fo_experimental ? TCPOPT_EXPERIMENT : TCPOPT_FAST_OPEN));
    assert(option[1] == head + o->fo_len);
    if (fastopen_length_good(o->fo_len))
        assert(o->fo_len <= FASTOPEN_COOKIE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tcp_options o;
    uint32_t len = size > 40 ? 40 : (uint32_t)size; /* no header has more */
    for (int syn = 0; syn < 2; syn++) {
        tcp_options_parse(&o, data, len, syn);
        check(&o, data, len, syn);
    }
    return 0;
}
