// SPDX-License-Identifier: BSD-3-Clause
// Every frame of the world to a file, at its virtual time.
#include <errno.h>
#include <pcap/pcap.h>
#include "base/units.h"
#include "port/sim/priv.h"

int sim_pcap(struct sim *s, const char *path)
{
    if (s->pcap)
        pcap_dump_close(s->pcap);
    s->pcap = NULL;
    if (!path)
        return 0;
    pcap_t *p = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
    if (!p)
        return -ENOMEM;
    s->pcap = pcap_dump_open(p, path);
    pcap_close(p);
    return s->pcap ? 0 : -EIO;
}

void sim_pcap_frame(struct sim *s, const struct rte_mbuf *m, uint64_t when)
{
    static uint8_t copy[65536]; /* the simulator is one thread */
    struct pcap_pkthdr h = {.caplen = m->pkt_len, .len = m->pkt_len};
    h.ts.tv_sec = (time_t)(when / NS_PER_SEC);
    h.ts.tv_usec = (suseconds_t)(when % NS_PER_SEC); /* nanoseconds, by the file's precision */
    const uint8_t *bytes = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
    if (bytes)
        pcap_dump(s->pcap, &h, bytes);
}
