// SPDX-License-Identifier: BSD-3-Clause
// Names of events and states, for people.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "tools/blackbox/file.h"

static const char *const names[] = {
    [TCP_LOG_IN] = "IN",
    [TCP_LOG_OUT] = "OUT",
    [TCP_LOG_RTO] = "TIMER",
    [TCP_LOG_SB_WAKE] = "SB_WAKE",
    [TCP_LOG_BAD_RETRAN] = "BAD_RETRAN",
    [TCP_LOG_PRR] = "PRR",
    [TCP_LOG_REORDER] = "REORDER",
    [TCP_LOG_HPTS] = "HPTS",
    [BBR_LOG_BBRUPD] = "BBRUPD",
    [BBR_LOG_BBRSND] = "BBRSND",
    [BBR_LOG_ACKCLEAR] = "ACKCLEAR",
    [BBR_LOG_TIMERSTAR] = "TIMERSTAR",
    [BBR_LOG_TIMERCANC] = "TIMERCANC",
    [BBR_LOG_ENTREC] = "ENTREC",
    [BBR_LOG_EXITREC] = "EXITREC",
    [BBR_LOG_CWND] = "CWND",
    [BBR_LOG_BWSAMP] = "BWSAMP",
    [BBR_LOG_MSGSIZE] = "MSGSIZE",
    [BBR_LOG_BBRRTT] = "BBRRTT",
    [BBR_LOG_JUSTRET] = "JUSTRET",
    [BBR_LOG_STATE] = "STATE",
    [BBR_LOG_PKT_EPOCH] = "PKT_EPOCH",
    [BBR_LOG_PERSIST] = "PERSIST",
    [TCP_LOG_FLOWEND] = "FLOWEND",
    [BBR_LOG_RTO] = "RTO",
    [BBR_LOG_DOSEG_DONE] = "DOSEG_DONE",
    [BBR_LOG_THRESH_CALC] = "THRESH_CALC",
    [TCP_LOG_MAPCHG] = "MAPCHG",
    [TCP_LOG_USERSEND] = "USERSEND",
    [BBR_LOG_TO_PROCESS] = "TO_PROCESS",
    [BBR_LOG_HPTSDIAG] = "HPTSDIAG",
    [BBR_LOG_PROGRESS] = "PROGRESS",
    [TCP_LOG_SOCKET_OPT] = "SOCKET_OPT",
    [BBR_LOG_ENOBUF_JMP] = "ENOBUF_JMP",
    [BBR_LOG_HPTSI_CALC] = "HPTSI_CALC",
    [BBR_LOG_RTT_SHRINKS] = "RTT_SHRINKS",
    [TCP_LOG_RTT] = "RTT",
    [BBR_LOG_SETTINGS_CHG] = "SETTINGS_CHG",
    [TCP_LOG_REASS] = "REASS",
    [TCP_HDWR_TLS] = "TLS",
    [BBR_LOG_TSTMP_VAL] = "TSTMP_VAL",
    [TCP_LOG_CONNEND] = "CONNEND",
    [TCP_SACK_FILTER_RES] = "SACK_FILTER",
    [TCP_SAD_DETECTION] = "SAD_DETECTION",
    [TCP_LOG_USER_EVENT] = "USER_EVENT",
    [TCP_LOG_SENDFILE] = "SENDFILE",
    [RACK_DSACK_HANDLING] = "DSACK",
    [TCP_HYSTART] = "HYSTART",
    [TCP_CHG_QUERY] = "CHG_QUERY",
    [TCP_RACK_LOG_COLLAPSE] = "COLLAPSE",
    [TCP_RACK_TP_TRIGGERED] = "TRACE_POINT",
    [TCP_LOG_PRU] = "PRU",
};
#define N_NAMES ((int)(sizeof(names) / sizeof(names[0])))

const char *box_event_name(uint8_t id, char buf[16])
{
    if (id < N_NAMES && names[id])
        return names[id];
    snprintf(buf, 16, "EVENT %u", id);
    return buf;
}

int box_event_number(const char *name)
{
    char *end;
    long n = strtol(name, &end, 10);
    if (end != name && *end == '\0')
        return n >= 0 && n < 256 ? (int)n : -1;
    for (int i = 0; i < N_NAMES; i++)
        if (names[i] && strcasecmp(names[i], name) == 0)
            return i;
    return -1;
}

const char *box_state_name(int32_t state)
{
    static const char *const states[] = {"CLOSED",      "LISTEN",     "SYN_SENT",   "SYN_RCVD",
                                         "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING",
                                         "LAST_ACK",    "FIN_WAIT_2", "TIME_WAIT"};
    return state >= 0 && state < (int32_t)(sizeof(states) / sizeof(states[0])) ? states[state] : "?";
}

const char *box_endpoints(const struct tcp_log_header *h, char buf[128])
{
    bool v4 = h->tlh_af == 2;
    int family = v4 ? AF_INET : AF_INET6, at = v4 ? 12 : 0;
    char local[INET6_ADDRSTRLEN] = "?", foreign[INET6_ADDRSTRLEN] = "?";
    inet_ntop(family, h->tlh_ie.ie_laddr + at, local, sizeof(local));
    inet_ntop(family, h->tlh_ie.ie_faddr + at, foreign, sizeof(foreign));
    snprintf(buf, 128, "%s.%u - %s.%u", local, ntohs(h->tlh_ie.ie_lport), foreign, ntohs(h->tlh_ie.ie_fport));
    return buf;
}
