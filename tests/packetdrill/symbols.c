// SPDX-License-Identifier: BSD-3-Clause
// Names of numbers. A call's constants are those of <leat/leat.h>, which are the platform's.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/ip.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <leat/leat.h>
#include <leat/tcp.h>
#include "script.h"

#define NAMED(name)                                                                                          \
    {                                                                                                        \
#name, name                                                                                          \
    }
static const struct symbol {
    const char *name;
    int64_t value;
} symbols[] = {
    /* families, types, protocols */
    NAMED(AF_UNSPEC),
    NAMED(AF_INET),
    NAMED(AF_INET6),
    NAMED(PF_INET),
    NAMED(PF_INET6),
    NAMED(SOCK_STREAM),
    NAMED(SOCK_DGRAM),
    NAMED(SOCK_NONBLOCK),
    NAMED(SOCK_CLOEXEC),
    NAMED(IPPROTO_IP),
    NAMED(IPPROTO_IPV6),
    NAMED(IPPROTO_TCP),
    NAMED(IPPROTO_UDP),
    NAMED(SOL_SOCKET),
    {"SOL_IP", IPPROTO_IP},
    {"SOL_IPV6", IPPROTO_IPV6},
    {"SOL_TCP", IPPROTO_TCP},
    {"INADDR_ANY", 0},
    {"INADDR_LOOPBACK", 0x7f000001},
    /* options */
    NAMED(SO_ACCEPTCONN),
    NAMED(SO_ERROR),
    NAMED(SO_KEEPALIVE),
    NAMED(SO_LINGER),
    NAMED(SO_RCVBUF),
    NAMED(SO_RCVLOWAT),
    NAMED(SO_REUSEADDR),
    NAMED(SO_REUSEPORT),
    NAMED(SO_SNDBUF),
    NAMED(SO_TYPE),
    NAMED(SO_PROTOCOL),
    NAMED(SO_DOMAIN),
    NAMED(SO_RCVTIMEO),
    NAMED(SO_SNDTIMEO),
    NAMED(SO_MAX_PACING_RATE),
    NAMED(SO_OOBINLINE),
    NAMED(SO_PRIORITY),
    NAMED(SO_ZEROCOPY),
    NAMED(TCP_CONGESTION),
    NAMED(TCP_CORK),
    NAMED(TCP_INFO),
    NAMED(TCP_KEEPCNT),
    NAMED(TCP_KEEPIDLE),
    NAMED(TCP_KEEPINTVL),
    NAMED(TCP_MAXSEG),
    NAMED(TCP_NODELAY),
    NAMED(TCP_USER_TIMEOUT),
    NAMED(TCP_FASTOPEN),
    NAMED(TCP_FASTOPEN_CONNECT),
    NAMED(TCP_DEFER_ACCEPT),
    NAMED(TCP_QUICKACK),
    NAMED(TCP_SYNCNT),
    NAMED(TCP_LINGER2),
    NAMED(TCP_WINDOW_CLAMP),
    NAMED(TCP_NOTSENT_LOWAT),
    NAMED(TCP_MD5SIG),
    NAMED(IP_TOS),
    NAMED(IP_TTL),
    NAMED(IPV6_TCLASS),
    NAMED(IPV6_UNICAST_HOPS),
    NAMED(IPV6_V6ONLY),
    NAMED(IP_MTU_DISCOVER),
    NAMED(IP_PMTUDISC_DONT),
    NAMED(IP_PMTUDISC_WANT),
    NAMED(IP_PMTUDISC_DO),
    NAMED(IP_PMTUDISC_PROBE),
    NAMED(IP_FREEBIND),
    NAMED(IP_RECVTOS),
    NAMED(SO_MARK),
    NAMED(SO_BINDTODEVICE),
    NAMED(SO_TIMESTAMPING),
    NAMED(SO_BUSY_POLL),
    NAMED(TCP_INQ),
    NAMED(TCP_CM_INQ),
    NAMED(TCP_FASTOPEN_KEY),
    NAMED(TCP_FASTOPEN_NO_COOKIE),
    NAMED(TCP_SAVE_SYN),
    NAMED(TCP_SAVED_SYN),
    NAMED(TCP_THIN_LINEAR_TIMEOUTS),
    NAMED(TCP_THIN_DUPACK),
    NAMED(TCP_TX_DELAY),
    NAMED(TCP_ULP),
    NAMED(IP_RECVERR),
    NAMED(IPV6_RECVERR),
#ifdef LEAT_TCP_NOPUSH
    {"TCP_NOPUSH", LEAT_TCP_NOPUSH},
#endif
#ifdef LEAT_TCP_NOOPT
    {"TCP_NOOPT", LEAT_TCP_NOOPT},
#endif
#ifdef LEAT_TCP_MAXUNACKTIME
    {"TCP_MAXUNACKTIME", LEAT_TCP_MAXUNACKTIME},
#endif
#ifdef LEAT_TCP_KEEPINIT
    {"TCP_KEEPINIT", LEAT_TCP_KEEPINIT},
#endif
    NAMED(TCP_FUNCTION_BLK),
    NAMED(TCP_FUNCTION_ALIAS),
    NAMED(TCP_PACING_RATE_CAP),
    {"IPTOS_DSCP_CS0", 0x00},
    {"IPTOS_DSCP_CS1", 0x20},
    {"IPTOS_DSCP_CS2", 0x40},
    {"IPTOS_DSCP_CS3", 0x60},
    {"IPTOS_DSCP_CS4", 0x80},
    {"IPTOS_DSCP_CS5", 0xa0},
    {"IPTOS_DSCP_CS6", 0xc0},
    {"IPTOS_DSCP_CS7", 0xe0},
    {"IPTOS_LOWDELAY", 0x10},
    /* commands and flags */
    NAMED(F_GETFL),
    NAMED(F_SETFL),
    NAMED(O_RDONLY),
    NAMED(O_WRONLY),
    NAMED(O_RDWR),
    NAMED(O_NONBLOCK),
    NAMED(FIONREAD),
    NAMED(FIONBIO),
    {"SIOCINQ", FIONREAD},
    NAMED(TIOCOUTQ),
    {"SIOCOUTQ", TIOCOUTQ},
    NAMED(SHUT_RD),
    NAMED(SHUT_WR),
    NAMED(SHUT_RDWR),
    NAMED(MSG_DONTWAIT),
    NAMED(MSG_PEEK),
    NAMED(MSG_WAITALL),
    NAMED(MSG_TRUNC),
    NAMED(MSG_OOB),
    NAMED(MSG_NOSIGNAL),
    NAMED(MSG_MORE),
    NAMED(MSG_EOR),
    NAMED(MSG_FASTOPEN),
    NAMED(MSG_ERRQUEUE),
    NAMED(MSG_ZEROCOPY),
    NAMED(POLLIN),
    NAMED(POLLOUT),
    NAMED(POLLERR),
    NAMED(POLLHUP),
    NAMED(POLLRDHUP),
    NAMED(POLLNVAL),
    NAMED(POLLPRI),
    NAMED(POLLRDNORM),
    NAMED(POLLWRNORM),
    NAMED(EPOLLIN),
    NAMED(EPOLLOUT),
    NAMED(EPOLLERR),
    NAMED(EPOLLHUP),
    NAMED(EPOLLRDHUP),
    NAMED(EPOLLET),
    NAMED(EPOLLONESHOT),
    NAMED(EPOLLEXCLUSIVE),
    NAMED(EPOLLRDNORM),
    NAMED(EPOLLWRNORM),
    NAMED(EPOLLPRI),
    NAMED(EPOLL_CTL_ADD),
    NAMED(EPOLL_CTL_MOD),
    NAMED(EPOLL_CTL_DEL),
    {"SIG_IGN", 1},
    /* ancillary data */
    {"CMSG_LEVEL_IP", IPPROTO_IP},
    {"CMSG_TYPE_RECVERR", IP_RECVERR},
    {"SCM_TIMESTAMPING", SO_TIMESTAMPING},
    NAMED(SO_EE_ORIGIN_NONE),
    NAMED(SO_EE_ORIGIN_LOCAL),
    NAMED(SO_EE_ORIGIN_ICMP),
    NAMED(SO_EE_ORIGIN_ICMP6),
    NAMED(SO_EE_ORIGIN_TIMESTAMPING),
    NAMED(SO_EE_ORIGIN_ZEROCOPY),
    NAMED(SO_EE_CODE_ZEROCOPY_COPIED),
    NAMED(SOF_TIMESTAMPING_TX_SCHED),
    NAMED(SOF_TIMESTAMPING_TX_SOFTWARE),
    NAMED(SOF_TIMESTAMPING_TX_ACK),
    NAMED(SOF_TIMESTAMPING_RX_SOFTWARE),
    NAMED(SOF_TIMESTAMPING_SOFTWARE),
    NAMED(SOF_TIMESTAMPING_OPT_ID),
    NAMED(SOF_TIMESTAMPING_OPT_TSONLY),
    NAMED(SCM_TSTAMP_SND),
    NAMED(SCM_TSTAMP_SCHED),
    NAMED(SCM_TSTAMP_ACK),
};

static const struct symbol errors[] = {
    NAMED(EPERM),           NAMED(ENOENT),       NAMED(EINTR),        NAMED(EIO),
    NAMED(EBADF),           NAMED(EAGAIN),       NAMED(ENOMEM),       NAMED(EACCES),
    NAMED(EFAULT),          NAMED(EBUSY),        NAMED(EEXIST),       NAMED(EINVAL),
    NAMED(EMFILE),          NAMED(ENOSPC),       NAMED(EPIPE),        NAMED(ENOTSOCK),
    NAMED(EDESTADDRREQ),    NAMED(EMSGSIZE),     NAMED(EPROTOTYPE),   NAMED(ENOPROTOOPT),
    NAMED(EPROTONOSUPPORT), NAMED(EOPNOTSUPP),   NAMED(EAFNOSUPPORT), NAMED(EADDRINUSE),
    NAMED(EADDRNOTAVAIL),   NAMED(ENETDOWN),     NAMED(ENETUNREACH),  NAMED(ECONNABORTED),
    NAMED(ECONNRESET),      NAMED(ENOBUFS),      NAMED(EISCONN),      NAMED(ENOTCONN),
    NAMED(ETIMEDOUT),       NAMED(ECONNREFUSED), NAMED(EHOSTDOWN),    NAMED(EHOSTUNREACH),
    NAMED(EALREADY),        NAMED(EINPROGRESS),  NAMED(ECANCELED),    NAMED(EDEADLK),
    NAMED(ENOSYS),          NAMED(ENOTSUP),      NAMED(ENXIO),        NAMED(EWOULDBLOCK),
    NAMED(ESHUTDOWN),       NAMED(EPROTO),       NAMED(ENOMSG),       NAMED(EOVERFLOW),
    NAMED(ERANGE),          NAMED(E2BIG),        NAMED(EISDIR),       NAMED(ENFILE),
    NAMED(EFBIG),           NAMED(ESPIPE),       NAMED(EPFNOSUPPORT), NAMED(EKEYREJECTED),
};

bool symbol_find(const char *name, int64_t *value)
{
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        if (!strcmp(symbols[i].name, name)) {
            *value = symbols[i].value;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (!strcmp(errors[i].name, name)) {
            *value = errors[i].value;
            return true;
        }
    }
    return false;
}

const char *symbol_errno(int error)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].value == error)
            return errors[i].name;
    return error == 0 ? "0" : strerror(error);
}
