// SPDX-License-Identifier: BSD-3-Clause
// Code snippets: Python that looks at TCP_INFO of the socket of the last call.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <leat/leat.h>
#include <leat/tcp.h>
#include "player.h"

static void constants(FILE *f)
{
    static const char *const states[] = {"",           "ESTABLISHED", "SYN_SENT",  "SYN_RECEIVED",
                                         "FIN_WAIT_1", "FIN_WAIT_2",  "TIME_WAIT", "CLOSED",
                                         "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING"};
    for (unsigned i = 1; i < sizeof(states) / sizeof(states[0]); i++)
        fprintf(f, "TCPI_%s=%u\n", states[i], i);
    fprintf(f, "TCPI_OPT_TIMESTAMPS=1\nTCPI_OPT_SACK=2\nTCPI_OPT_WSCALE=4\nTCPI_OPT_ECN=8\n");
    fprintf(f, "TCP_CA_Open=0\nTCP_CA_Disorder=1\nTCP_CA_CWR=2\nTCP_CA_Recovery=3\nTCP_CA_Loss=4\n");
}

#define SAY(member) fprintf(f, #member "=%llu\n", (unsigned long long)info->member)
static void variables(FILE *f, const struct leat_tcp_info *info)
{
    SAY(tcpi_state);
    SAY(tcpi_ca_state);
    SAY(tcpi_retransmits);
    SAY(tcpi_probes);
    SAY(tcpi_backoff);
    SAY(tcpi_options);
    SAY(tcpi_snd_wscale);
    SAY(tcpi_rcv_wscale);
    SAY(tcpi_rto);
    SAY(tcpi_ato);
    SAY(tcpi_snd_mss);
    SAY(tcpi_rcv_mss);
    SAY(tcpi_advmss);
    SAY(tcpi_unacked);
    SAY(tcpi_sacked);
    SAY(tcpi_lost);
    SAY(tcpi_retrans);
    SAY(tcpi_fackets);
    SAY(tcpi_pmtu);
    SAY(tcpi_rcv_ssthresh);
    SAY(tcpi_rtt);
    SAY(tcpi_rttvar);
    SAY(tcpi_snd_ssthresh);
    SAY(tcpi_snd_cwnd);
    SAY(tcpi_reordering);
    SAY(tcpi_rcv_space);
    SAY(tcpi_total_retrans);
    SAY(tcpi_bytes_acked);
    SAY(tcpi_bytes_received);
    SAY(tcpi_segs_out);
    SAY(tcpi_segs_in);
    SAY(tcpi_notsent_bytes);
    SAY(tcpi_min_rtt);
    SAY(tcpi_delivered_ce);
}

int code_run(struct player *p, const struct event *e)
{
    struct leat_tcp_info info = {0};
    socklen_t len = sizeof(info);
    sim_enter(p->dialog->host);
    if (p->last_fd >= 0 && leat_getsockopt(p->last_fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return player_failed(p, e, "TCP_INFO: %m");
    fflush(NULL);
    FILE *f = popen("exec python3 -", "w");
    if (!f)
        return player_failed(p, e, "python3: %m");
    constants(f);
    variables(f, &info);
    const char *text = e->text + strspn(e->text, " \t");
    fprintf(f, "%s\n", text);
    int status = pclose(f);
    if (status == 0)
        return 0;
    return player_failed(p, e, "%%{%s}%% failed (tcpi_state %u, tcpi_options %u, cwnd %u, unacked %u)",
                         e->text, info.tcpi_state, info.tcpi_options, info.tcpi_snd_cwnd, info.tcpi_unacked);
}
