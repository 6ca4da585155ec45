// SPDX-License-Identifier: BSD-3-Clause
// What sockets answer (stage.h): making and naming them, connections, errors, options. Waiting for them is in scenarios_waiting.c.
#include "stage.h"

static void making(void)
{
    side(CLIENT);
    TRY("family 999", NET(socket)(999, SOCK_STREAM, 0));
    TRY("type 99", NET(socket)(AF_INET, 99, 0));
    TRY("stream with protocol UDP", NET(socket)(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    TRY("unknown flag", NET(socket)(AF_INET, SOCK_STREAM | 0x100000, 0));
    int fd;
    if (TRY("datagram", (fd = NET(socket)(AF_INET, SOCK_DGRAM, 0)) < 0 ? -1 : 0) == 0)
        NET(close)(fd);
    fd = NET(socket)(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    TRY("nonblocking", (NET(fcntl)(fd, F_GETFL) & O_NONBLOCK) != 0);
    TRY("access mode", NET(fcntl)(fd, F_GETFL) & O_ACCMODE);
    TRY("close on exec", NET(fcntl)(fd, F_GETFD));
    TRY("close", NET(close)(fd));
    TRY("close again", NET(close)(fd));
    TRY("close -1", NET(close)(-1));
    TRY("read of nothing open", NET(read)(fd, &fd, 1));
    TRY("listen of nothing open", NET(listen)(fd, 1));
}

static void binding(void)
{
    side(SERVER);
    int a = tcp(AF_INET), b = tcp(AF_INET);
    struct sockaddr_in in = in4("0.0.0.0", port), foreign = in4("192.0.2.1", port);
    struct sockaddr_in6 six = in6("::", port);
    TRY("short address", NET(bind)(a, (struct sockaddr *)&in, 4));
    TRY("IPv6 address, IPv4 socket", NET(bind)(a, (struct sockaddr *)&six, sizeof(six)));
    TRY("address of somebody else", NET(bind)(a, (struct sockaddr *)&foreign, sizeof(foreign)));
    TRY("first", NET(bind)(a, (struct sockaddr *)&in, sizeof(in)));
    TRY("twice", NET(bind)(a, (struct sockaddr *)&in, sizeof(in)));
    TRY("second socket", NET(bind)(b, (struct sockaddr *)&in, sizeof(in)));
    TRY("listen", NET(listen)(a, 5));
    TRY("reuse of a listener's",
        (NET(setsockopt)(b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), bind4(b, port)));
    NET(close)(a);
    TRY("when the first is closed", bind4(b, port));
    NET(close)(b);
    a = tcp(AF_INET), b = tcp(AF_INET);
    NET(setsockopt)(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    NET(setsockopt)(b, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    TRY("reuseport first", bind4(a, port));
    TRY("reuseport second", bind4(b, port));
    TRY("both listen", NET(listen)(a, 1) | NET(listen)(b, 1));
    NET(close)(a);
    NET(close)(b);
    a = tcp(AF_INET);
    TRY("any port", bind4(a, 0));
    socklen_t len = sizeof(in);
    NET(getsockname)(a, (struct sockaddr *)&in, &len);
    TRY("got one", in.sin_port != 0);
    NET(close)(a);
}

static void listening(void)
{
    side(SERVER);
    int fd = tcp(AF_INET), v = -1;
    socklen_t len = sizeof(v);
    TRY("accept before", NET(accept)(fd, NULL, NULL));
    TRY("acceptconn before", (NET(getsockopt)(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len), v));
    bind4(fd, port);
    TRY("listen", NET(listen)(fd, 0));
    TRY("listen again", NET(listen)(fd, 10));
    TRY("acceptconn", (NET(getsockopt)(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len), v));
    TRY("accept of nobody", NET(accept)(fd, NULL, NULL));
    TRY("accept4 unknown flag", NET(accept4)(fd, NULL, NULL, 1));
    TRY("read", NET(read)(fd, &v, 1));
    TRY("write", NET(send)(fd, &v, 1, MSG_NOSIGNAL));
    TRY("connect", connect4(fd, port + 1));
    told_poll("poll", fd);
    NET(close)(fd);
    fd = tcp(AF_INET);
    TRY("unbound", NET(listen)(fd, 1));
    NET(close)(fd);
    struct ends e = connected();
    TRY("of a connection", NET(listen)(e.c, 1));
    disconnect(e);
}

static void accepting(void)
{
    int l = listener(port), fd;
    struct sockaddr_in in;
    socklen_t len = sizeof(in);
    side(CLIENT);
    int c = tcp(AF_INET);
    connect4(c, port);
    settle();
    side(SERVER);
    told_poll("poll", l);
    fd = NET(accept)(l, (struct sockaddr *)&in, &len);
    TRY("address length", len);
    TRY("family", in.sin_family);
    TRY("flags are not inherited", NET(fcntl)(fd, F_GETFL) & O_NONBLOCK);
    TRY("peer's port", in.sin_port != 0);
    NET(close)(fd);
    side(CLIENT);
    NET(close)(c);
    settle();
    /* Reset before it is accepted. */
    c = tcp(AF_INET);
    connect4(c, port);
    settle();
    reset(c);
    settle();
    side(SERVER);
    told_poll("poll after a reset", l);
    if (TRY("accept after a reset", (fd = NET(accept4)(l, NULL, NULL, SOCK_NONBLOCK)) < 0 ? -1 : 0) == 0) {
        TRY("read of it", NET(read)(fd, &in, 1));
        NET(close)(fd);
    }
    NET(close)(l);
}

static void connecting(void)
{
    struct sockaddr_in in = in4(server4, port);
    struct sockaddr_in6 six = in6(server6, port);
    side(CLIENT);
    int fd = tcp(AF_INET);
    char byte = 0;
    told_poll("poll of a fresh socket", fd);
    TRY("short address", NET(connect)(fd, (struct sockaddr *)&in, 4));
    TRY("IPv6 address, IPv4 socket", NET(connect)(fd, (struct sockaddr *)&six, sizeof(six)));
    TRY("read before", NET(read)(fd, &byte, 1));
    TRY("send before", NET(send)(fd, &byte, 1, MSG_NOSIGNAL));
    TRY("shutdown before", NET(shutdown)(fd, SHUT_WR));
    TRY("refused", connect4(fd, port));
    settle();
    told_poll("poll when refused", fd);
    told_so_error("error", fd);
    told_so_error("error again", fd);
    told_poll("poll after", fd);
    NET(close)(fd);
    fd = tcp(AF_INET);
    connect4(fd, port);
    settle();
    TRY("read when refused", NET(read)(fd, &byte, 1));
    TRY("read again", NET(read)(fd, &byte, 1));
    TRY("send again", NET(send)(fd, &byte, 1, MSG_NOSIGNAL));
    NET(close)(fd);
    fd = tcp(AF_INET);
    connect4(fd, port);
    settle();
    TRY("connect when refused", connect4(fd, port));
    NET(close)(fd);
    int l = listener(port);
    side(CLIENT);
    fd = tcp(AF_INET);
    TRY("first", connect4(fd, port));
    settle();
    told_poll("poll", fd);
    told_so_error("no error", fd);
    TRY("second", connect4(fd, port));
    TRY("third", connect4(fd, port));
    NET(close)(fd);
    side(SERVER);
    NET(close)(l);
    settle();
}

static void naming(void)
{
    side(CLIENT);
    int fd = tcp(AF_INET);
    struct sockaddr_in in = {0};
    socklen_t len = sizeof(in);
    TRY("peer before", NET(getpeername)(fd, (struct sockaddr *)&in, &len));
    TRY("self before", NET(getsockname)(fd, (struct sockaddr *)&in, &len));
    TRY("self is any", in.sin_addr.s_addr == 0 && in.sin_port == 0 && in.sin_family == AF_INET);
    NET(close)(fd);
    struct ends e = connected();
    memset(&in, 0, sizeof(in));
    len = sizeof(in);
    TRY("peer", NET(getpeername)(e.c, (struct sockaddr *)&in, &len));
    TRY("peer's port", ntohs(in.sin_port) == port);
    len = 4;
    memset(&in, 0xff, sizeof(in));
    TRY("short", NET(getpeername)(e.c, (struct sockaddr *)&in, &len));
    TRY("length said", len);
    TRY("not written behind", in.sin_addr.s_addr == 0xffffffff);
    len = (socklen_t)-1;
    TRY("negative", NET(getpeername)(e.c, (struct sockaddr *)&in, &len));
    disconnect(e);
}

static void transferring(void)
{
    struct ends e = connected();
    char buf[64] = {0};
    int n = -1;
    side(CLIENT);
    TRY("write", NET(write)(e.c, "0123456789", 10));
    TRY("write of nothing", NET(write)(e.c, "", 0));
    settle();
    TRY("unacked", (NET(ioctl)(e.c, TIOCOUTQ, &n), n));
    side(SERVER);
    TRY("FIONREAD", (NET(ioctl)(e.s, FIONREAD, &n), n));
    TRY("read of nothing", NET(read)(e.s, buf, 0));
    TRY("peek", NET(recv)(e.s, buf, 4, MSG_PEEK));
    TRY("read", NET(read)(e.s, buf, 4));
    TRY("bytes", memcmp(buf, "0123", 4) == 0);
    struct iovec iov[3] = {{buf, 2}, {buf + 2, 0}, {buf + 2, 60}};
    TRY("readv", NET(readv)(e.s, iov, 3));
    TRY("bytes of it", memcmp(buf, "456789", 6) == 0);
    TRY("empty", NET(read)(e.s, buf, 4));
    TRY("empty peek", NET(recv)(e.s, buf, 4, MSG_PEEK));
    TRY("readv of -1 pieces", NET(readv)(e.s, iov, negative));
    struct iovec out[2] = {{"abc", 3}, {"defg", 4}};
    struct msghdr msg = {.msg_iov = out, .msg_iovlen = 2};
    TRY("writev", NET(writev)(e.s, out, 2));
    TRY("sendmsg", NET(sendmsg)(e.s, &msg, MSG_NOSIGNAL));
    settle();
    side(CLIENT);
    TRY("trunc throws away", NET(recv)(e.c, NULL, 3, MSG_TRUNC));
    iov[0] = (struct iovec){buf, 64};
    msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1, .msg_flags = -1};
    TRY("recvmsg", NET(recvmsg)(e.c, &msg, 0));
    TRY("flags", msg.msg_flags);
    TRY("bytes of that", memcmp(buf, "defgabcdefg", 11) == 0);
    TRY("waitall, nonblocking", NET(recv)(e.c, buf, 5, MSG_WAITALL));
    NET(fcntl)(e.c, F_SETFL, 0);
    TRY("dontwait", NET(recv)(e.c, buf, 5, MSG_DONTWAIT));
    TRY("sendto the connected", NET(sendto)(e.c, "x", 1, 0, NULL, 0));
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    settle();
    side(SERVER);
    TRY("recvfrom", NET(recvfrom)(e.s, buf, 9, 0, (struct sockaddr *)&from, &len));
    TRY("out of band", NET(send)(e.s, "u", 1, MSG_OOB) >= 0);
    disconnect(e);
}

static void filling(void)
{
    struct ends e = connected();
    static char big[1 << 20];
    ssize_t n, sent = 0, got = 0;
    side(CLIENT);
    while ((n = NET(send)(e.c, big, sizeof(big), 0)) > 0)
        sent += n;
    TRY("in the end", n);
    told_poll("poll when full", e.c);
    for (int i = 0; i < 1000 && got < sent; i++) {
        side(SERVER);
        while ((n = NET(read)(e.s, big, sizeof(big))) > 0)
            got += n;
        settle();
    }
    TRY("all came", got == sent);
    side(CLIENT);
    told_poll("poll when drained", e.c);
    disconnect(e);
}

static void half_closing(void)
{
    struct ends e = connected();
    char buf[16];
    side(CLIENT);
    TRY("bad how", NET(shutdown)(e.c, 9));
    NET(write)(e.c, "last", 4);
    TRY("shutdown", NET(shutdown)(e.c, SHUT_WR));
    TRY("shutdown again", NET(shutdown)(e.c, SHUT_WR));
    TRY("write after", NET(send)(e.c, "x", 1, MSG_NOSIGNAL));
    settle();
    told_poll("poll of who closed", e.c);
    side(SERVER);
    told_poll("poll of who heard", e.s);
    TRY("read", NET(read)(e.s, buf, sizeof(buf)));
    TRY("end", NET(read)(e.s, buf, sizeof(buf)));
    TRY("end again", NET(read)(e.s, buf, sizeof(buf)));
    told_poll("poll at the end", e.s);
    TRY("answer", NET(write)(e.s, "reply", 5));
    settle();
    side(CLIENT);
    TRY("read the answer", NET(read)(e.c, buf, sizeof(buf)));
    TRY("no more yet", NET(read)(e.c, buf, sizeof(buf)));
    side(SERVER);
    TRY("other side", NET(shutdown)(e.s, SHUT_WR));
    settle();
    told_poll("server's poll", e.s);
    side(CLIENT);
    told_poll("client's poll", e.c);
    TRY("client's end", NET(read)(e.c, buf, sizeof(buf)));
    TRY("peer's name then", NET(getpeername)(e.c, (struct sockaddr *)buf, &(socklen_t){sizeof(buf)}));
    disconnect(e);
}

static void not_reading(void)
{
    struct ends e = connected();
    char buf[16];
    side(SERVER);
    TRY("shutdown", NET(shutdown)(e.s, SHUT_RD));
    told_poll("poll", e.s);
    TRY("read", NET(read)(e.s, buf, sizeof(buf)));
    TRY("write still goes", NET(write)(e.s, "w", 1));
    settle();
    side(CLIENT);
    TRY("which arrives", NET(read)(e.c, buf, sizeof(buf)));
    disconnect(e);
}

static void after_reset(struct ends e)
{
    char byte = 0;
    settle();
    side(CLIENT);
    told_poll("poll", e.c);
    TRY("read", NET(read)(e.c, &byte, 1));
    TRY("read again", NET(read)(e.c, &byte, 1));
    told_so_error("error", e.c);
    TRY("write", NET(send)(e.c, &byte, 1, MSG_NOSIGNAL));
    TRY("write again", NET(send)(e.c, &byte, 1, MSG_NOSIGNAL));
    told_poll("poll after", e.c);
    TRY("peer's name", NET(getpeername)(e.c, NULL, NULL) < 0);
    disconnect(e);
}

static void resetting(void)
{
    struct ends e = connected();
    side(SERVER);
    reset(e.s);
    e.s = -1;
    after_reset(e);
}

static void resetting_with_data(void)
{
    struct ends e = connected();
    char buf[16];
    side(SERVER);
    NET(write)(e.s, "data", 4);
    settle();
    reset(e.s);
    e.s = -1;
    settle();
    side(CLIENT);
    told_poll("poll", e.c);
    TRY("read", NET(read)(e.c, buf, sizeof(buf)));
    TRY("read again", NET(read)(e.c, buf, sizeof(buf)));
    disconnect(e);
}

static void closing_unread(void)
{
    struct ends e = connected();
    side(CLIENT);
    NET(write)(e.c, "unread", 6);
    settle();
    side(SERVER);
    NET(close)(e.s);
    e.s = -1;
    after_reset(e);
}

static void error_by_getsockopt(void)
{
    struct ends e = connected();
    char byte;
    side(SERVER);
    reset(e.s);
    e.s = -1;
    settle();
    side(CLIENT);
    told_so_error("error", e.c);
    told_so_error("error again", e.c);
    TRY("read", NET(read)(e.c, &byte, 1));
    disconnect(e);
}

static void writing_to_the_gone(void)
{
    struct ends e = connected();
    char byte = 0;
    side(SERVER);
    NET(close)(e.s);
    e.s = -1;
    settle();
    side(CLIENT);
    told_poll("poll", e.c);
    TRY("read", NET(read)(e.c, &byte, 1));
    TRY("write", NET(send)(e.c, &byte, 1, MSG_NOSIGNAL));
    settle();
    told_poll("poll when reset", e.c);
    TRY("write when reset", NET(send)(e.c, &byte, 1, MSG_NOSIGNAL));
    told_so_error("error", e.c);
    disconnect(e);
}

static void time_wait(void)
{
    struct ends e = connected();
    side(SERVER);
    NET(close)(e.s); /* first: TIME-WAIT is here */
    settle();
    side(CLIENT);
    NET(close)(e.c);
    settle();
    side(SERVER);
    NET(close)(e.l);
    int fd = tcp(AF_INET);
    TRY("bind", bind4(fd, port));
    NET(setsockopt)(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    TRY("bind with reuse", bind4(fd, port));
    TRY("listen", NET(listen)(fd, 1));
    NET(close)(fd);
}

static void set_and_get(int fd, const char *name, int level, int opt, int v)
{
    char step[64];
    int got = -1;
    socklen_t len = sizeof(got);
    snprintf(step, sizeof(step), "%s to %d", name, v);
    if (TRY(step, NET(setsockopt)(fd, level, opt, &v, sizeof(v))) < 0)
        return;
    snprintf(step, sizeof(step), "%s after %d", name, v);
    if (NET(getsockopt)(fd, level, opt, &got, &len) < 0)
        told(step, -1);
    else
        printf("%s: %s = %d (%u bytes)\n", scenario, step, got, (unsigned)len);
}

static void options(void)
{
    static const struct {
        const char *name;
        int level, opt, values[4]; /* increasing, then 0 or -1 or none */
    } all[] = {
        {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, {0, 1, 2, -1}},
        {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, {0, 1, 2, -1}},
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, {0, 1, 2, -1}},
        {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, {0, 1, 100}},
        {"SO_ERROR", SOL_SOCKET, SO_ERROR, {0, 1}},
        {"SO_TYPE", SOL_SOCKET, SO_TYPE, {0, 1}},
        {"SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, {0, 1}},
        {"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, {0, 1}},
        {"socket option 9999", SOL_SOCKET, 9999, {0, 1}},
        {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, {0, 1, 2, -1}},
        {"TCP_CORK", IPPROTO_TCP, TCP_CORK, {0, 1, 2}},
        {"TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG, {1, 1000, 0, 100000}},
        {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, {1, 32767, 0, 32768}},
        {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, {1, 32767, 0, 32768}},
        {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, {1, 127, 0, 128}},
        {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, {0, 5000, 1, -1}},
        {"TCP_INFO", IPPROTO_TCP, TCP_INFO, {0, 1}},
        {"tcp option 9999", IPPROTO_TCP, 9999, {0, 1}},
        {"IP_TOS", IPPROTO_IP, IP_TOS, {0, 0x10, 0xfc, 256}},
        {"IP_TTL", IPPROTO_IP, IP_TTL, {1, 255, 0, 256}},
        {"ip option 9999", IPPROTO_IP, 9999, {0, 1}},
        {"level 9999", 9999, 1, {0, 1}},
    };
    side(CLIENT);
    int fd = tcp(AF_INET), v = 1;
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (unsigned k = 0; k < 4 && (k < 2 || all[i].values[k] != 0 || all[i].values[0] != 0); k++)
            set_and_get(fd, all[i].name, all[i].level, all[i].opt, all[i].values[k]);
    TRY("too short", NET(setsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, &v, 1));
    TRY("too short for TCP", NET(setsockopt)(fd, IPPROTO_TCP, TCP_NODELAY, &v, 1));
    char longer[16] = {1};
    TRY("longer than needed", NET(setsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, longer, sizeof(longer)));
    socklen_t len = 1;
    TRY("got into one byte", NET(getsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, longer, &len));
    TRY("length of it", len);
    len = (socklen_t)-1;
    TRY("got into -1 bytes", NET(getsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, longer, &len));
    struct linger lin = {1, 5}, back = {0};
    len = sizeof(back);
    TRY("SO_LINGER", NET(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin)));
    NET(getsockopt)(fd, SOL_SOCKET, SO_LINGER, &back, &len);
    TRY("linger time", back.l_onoff * 100 + back.l_linger);
    TRY("SO_LINGER short", NET(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &lin, 4));
    char cc[16] = "newreno";
    TRY("TCP_CONGESTION of nobody", NET(setsockopt)(fd, IPPROTO_TCP, TCP_CONGESTION, "nobody", 6));
    len = sizeof(cc);
    TRY("TCP_CONGESTION", NET(getsockopt)(fd, IPPROTO_TCP, TCP_CONGESTION, cc, &len));
    NET(close)(fd);
    fd = tcp(AF_INET6);
    set_and_get(fd, "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_and_get(fd, "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, 0);
    set_and_get(fd, "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, 0x20);
    set_and_get(fd, "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, 256);
    set_and_get(fd, "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, -1);
    set_and_get(fd, "IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7);
    set_and_get(fd, "IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256);
    NET(close)(fd);
}

static void dual_stack(void)
{
    side(SERVER);
    int six = tcp(AF_INET6), four = tcp(AF_INET), fd;
    struct sockaddr_in6 in = in6("::", port), from;
    NET(setsockopt)(six, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    TRY("bind", NET(bind)(six, (struct sockaddr *)&in, sizeof(in)));
    TRY("v6only when bound", NET(setsockopt)(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
    TRY("listen", NET(listen)(six, 5));
    TRY("IPv4 beside it", bind4(four, port));
    side(CLIENT);
    int c = tcp(AF_INET);
    connect4(c, port);
    settle();
    side(SERVER);
    socklen_t len = sizeof(from);
    fd = NET(accept4)(six, (struct sockaddr *)&from, &len, SOCK_NONBLOCK);
    TRY("family of an IPv4 peer", from.sin6_family);
    TRY("mapped", IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    NET(close)(fd);
    NET(close)(six);
    side(CLIENT);
    NET(close)(c);
    settle();
    side(SERVER);
    six = tcp(AF_INET6);
    in = in6("::", port + 500);
    NET(setsockopt)(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    TRY("only IPv6", NET(bind)(six, (struct sockaddr *)&in, sizeof(in)) | NET(listen)(six, 5));
    TRY("IPv4 beside that", bind4(four, port + 500));
    side(CLIENT);
    c = tcp(AF_INET6);
    in = in6(server6, port + 500);
    TRY("connect by IPv6", NET(connect)(c, (struct sockaddr *)&in, sizeof(in)));
    settle();
    told_poll("connected", c);
    NET(close)(c);
    c = tcp(AF_INET6);
    in = in6("::ffff:192.0.2.1", 1);
    NET(setsockopt)(c, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    TRY("mapped address, only IPv6", NET(connect)(c, (struct sockaddr *)&in, sizeof(in)));
    NET(close)(c);
    side(SERVER);
    NET(close)(six);
    NET(close)(four);
    settle();
}

static void duplicating(void)
{
    struct ends e = connected();
    char buf[8];
    side(SERVER);
    int d = NET(dup)(e.s);
    TRY("dup", d >= 0 && d != e.s);
    TRY("dup of nothing open", NET(dup)(987654));
    TRY("close the first", NET(close)(e.s));
    side(CLIENT);
    NET(write)(e.c, "ab", 2);
    settle();
    side(SERVER);
    TRY("read by the second", NET(read)(d, buf, 8));
    e.s = d;
    disconnect(e);
}

static void controlling(void)
{
    side(CLIENT);
    int fd = NET(socket)(AF_INET, SOCK_STREAM, 0), v = 1, n = 7;
    TRY("unknown request", NET(ioctl)(fd, 0x12345678, &v));
    TRY("FIONBIO", NET(ioctl)(fd, FIONBIO, &v));
    TRY("now nonblocking", (NET(fcntl)(fd, F_GETFL) & O_NONBLOCK) != 0);
    TRY("F_SETFL", NET(fcntl)(fd, F_SETFL, 0));
    TRY("now blocking", NET(fcntl)(fd, F_GETFL) & O_NONBLOCK);
    TRY("F_SETFD", NET(fcntl)(fd, F_SETFD, FD_CLOEXEC));
    TRY("F_GETFD", NET(fcntl)(fd, F_GETFD));
    TRY("unknown command", NET(fcntl)(fd, 9999, 0));
    TRY("FIONREAD of no connection", (NET(ioctl)(fd, FIONREAD, &n), n));
    NET(close)(fd);
}

static void full_backlog(void)
{
    side(SERVER);
    int l = tcp(AF_INET), c[6], ok = 0;
    bind4(l, port);
    NET(listen)(l, 2);
    side(CLIENT);
    for (int i = 0; i < 6; i++) {
        c[i] = tcp(AF_INET);
        connect4(c[i], port);
    }
    settle();
    side(SERVER);
    int fd;
    while ((fd = NET(accept4)(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        ok++;
        NET(close)(fd);
    }
    TRY("accepted at once", ok);
    NET(close)(l);
    side(CLIENT);
    for (int i = 0; i < 6; i++)
        NET(close)(c[i]);
    settle();
}

/* MSG_FASTOPEN without a cookie: the listener gives none. */
static void fast_opening(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, server4, &a.sin_addr);
    struct sockaddr *to = (struct sockaddr *)&a;
    side(SERVER);
    int l = tcp(AF_INET);
    bind4(l, port);
    NET(listen)(l, 4);
    side(CLIENT);
    int c = tcp(AF_INET);
    TRY("MSG_FASTOPEN", NET(sendto)(c, "abc", 3, MSG_FASTOPEN, to, sizeof(a)));
    settle();
    TRY("connected", NET(sendto)(c, "abc", 3, MSG_FASTOPEN, to, sizeof(a)));
    told_poll("then", c);
    NET(close)(c);
    c = tcp(AF_INET);
    TRY("nothing", NET(sendto)(c, "", 0, MSG_FASTOPEN, to, sizeof(a)));
    settle();
    TRY("write", NET(write)(c, "abc", 3));
    NET(close)(c);
    c = NET(socket)(AF_INET, SOCK_STREAM, 0);
    TRY("waiting", NET(sendto)(c, "abc", 3, MSG_FASTOPEN, to, sizeof(a)));
    NET(close)(c);
    settle();
    side(SERVER);
    NET(close)(l);
    settle();
    side(CLIENT);
    c = NET(socket)(AF_INET, SOCK_STREAM, 0);
    TRY("waiting, nobody listens", NET(sendto)(c, "abc", 3, MSG_FASTOPEN, to, sizeof(a)));
    NET(close)(c);
    c = tcp(AF_INET);
    TRY("nobody listens", NET(sendto)(c, "abc", 3, MSG_FASTOPEN, to, sizeof(a)));
    settle();
    TRY("again", NET(sendto)(c, "abc", 3, MSG_FASTOPEN, to, sizeof(a)));
    NET(close)(c);
}

static const struct scenario scenarios[] = {
    {"making", making},
    {"binding", binding},
    {"listening", listening},
    {"accepting", accepting},
    {"connecting", connecting},
    {"naming", naming},
    {"transferring", transferring},
    {"filling", filling},
    {"half closing", half_closing},
    {"not reading", not_reading},
    {"resetting", resetting},
    {"resetting with data", resetting_with_data},
    {"closing unread", closing_unread},
    {"error by getsockopt", error_by_getsockopt},
    {"writing to the gone", writing_to_the_gone},
    {"time wait", time_wait},
    {"options", options},
    {"dual stack", dual_stack},
    {"duplicating", duplicating},
    {"controlling", controlling},
    {"full backlog", full_backlog},
    {"fast opening", fast_opening},
};

int main(void)
{
    play(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
    return 0;
}
