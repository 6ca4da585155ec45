# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks of TLS, for tests/bench/run: the record path against the cipher alone, workers against the engine itself, and https against
nginx. Times are CPU time wherever they can be, so that others on the machine count little."""
import contextlib
import hashlib
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time

SUITES = [("aes-128-gcm", "aes-128-gcm"), ("aes-256-gcm", "aes-256-gcm"), ("chacha20-poly1305", "chacha20-poly1305")]
SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
ROUNDS = 5


def values(command):
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True, timeout=300).stdout
    return [float(x) for x in re.findall(r"[\d.]+", text)]


def value(command):
    return values(command)[0]


def openssl_speed(cipher, size):
    text = subprocess.run(["openssl", "speed", "-seconds", "1", "-bytes", str(size), "-aead", "-evp", cipher],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return float(re.findall(r"([\d.]+)k$", text, re.M)[-1]) * 1000 / 1e9


def path(build, kind, size, seconds):
    """kind: the backend. bench_tls takes the turns of cipher and path, for openssl of the EVP calls; openssl speed -aead: whole messages, as records are."""
    bench = build + "/tests/bench/bench_tls"
    for suite, evp in SUITES:
        got = {}
        for _ in range(ROUNDS):
            for how in ("rawopen", "open", "lend"):
                got.setdefault(how, []).append(value([bench, how, kind, suite, str(size), "0.5"]))
            for how, v in zip(("raw", "path", "share"), values([bench, "share", kind, suite, str(size), "1"])):
                got.setdefault(how, []).append(v)
            if kind == "openssl":
                got.setdefault("speed", []).append(openssl_speed(evp, size))
        m = {how: statistics.median(v) for how, v in got.items()}
        yield suite + (" calls" if "speed" in m else " cipher"), m["raw"], "GB/s"
        yield suite + " records", m["path"], "GB/s"
        yield suite + " share", m["share"], "of the calls" if "speed" in m else "of the cipher"
        if "speed" in m:
            yield suite + " cipher", m["speed"], "GB/s"
            yield suite + " share", m["path"] / m["speed"], "of the cipher"
        yield suite + " opening", m["rawopen"], "GB/s"
        yield suite + " opened", m["lend"], "GB/s"
        yield suite + " share", m["lend"] / m["rawopen"], "of the cipher"
        yield suite + " opened, read", m["open"], "GB/s"


def workers(build, kind, size, seconds):
    """The engine's time for a record of each size; kind: the backend."""
    bench = build + "/tests/bench/bench_tls"
    for n in SIZES:
        for how in ("inline", "busy", "asleep"):
            yield "%d bytes %s" % (n, how), value([bench, how, kind, "aes-256-gcm", str(n), "0.3"]), "ns"


# ---- https ----


class Cpu:
    """What a server has used of its CPU, by the scheduler's clock (ticks see nothing of who sleeps and wakes between them): all threads, and
    the kernel's thread that does the network's work of that CPU when the server is not at hand for it."""

    def __init__(self, pid, core):
        self.pid = pid
        self.others = [int(p) for p in os.listdir("/proc") if p.isdigit() and self.name(p) == "ksoftirqd/%d" % core]

    @staticmethod
    def name(pid):
        try:
            with open("/proc/%s/comm" % pid) as f:
                return f.read().strip()
        except OSError:
            return ""

    def seconds(self):
        total = 0
        for pid in [self.pid] + self.others:
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
                    total += int(f.read().split()[0])
        return total / 1e9


def content(tmp):
    """The SHA-256 of each file."""
    sums = {}
    os.mkdir(tmp + "/www")
    for name, size in (("big", 1 << 20), ("small", 512)):
        data = os.urandom(size)
        sums[name] = hashlib.sha256(data).hexdigest()
        with open(tmp + "/www/" + name, "wb") as f:
            f.write(data)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
                    "-keyout", tmp + "/key.pem", "-out", tmp + "/cert.pem"], check=True, stderr=subprocess.DEVNULL)
    return sums


class Client:
    """The load: begins when told to, for its end of the wire may have to be there before the server's."""

    def __init__(self, command, env=None):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    def measure(self, pid, core):
        """Bytes and replies for each second of the server's CPU, and of the clock."""
        cpu = Cpu(pid, core)
        patience = threading.Timer(60, self.p.kill)
        patience.start()
        self.p.stdin.write("go\n")
        self.p.stdin.flush()
        lines = iter(self.p.stdout.readline, "")
        for line in lines:
            if line.startswith("begin"):
                break
        before = cpu.seconds()
        last = next(lines, "")
        used = cpu.seconds() - before
        patience.cancel()
        found = re.match(r"(\d+) replies (\d+) bytes ([\d.]+) s", last)
        if not found:
            raise SystemExit("tests/bench/run: the https client measured nothing\n" + self.p.stderr.read())
        replies, size, seconds = int(found[1]), int(found[2]), float(found[3])
        return {"replies": replies / used, "bytes": size / used, "rate": size / seconds, "busy": used / seconds}

    def end(self):
        self.p.kill()
        self.p.communicate()


def stop(p):
    p.terminate()
    try:
        p.wait(10)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


class Bench:
    """What the servers of one run have in common."""

    def __init__(self, build, tmp, what, conns, seconds):
        self.build, self.tmp, self.what, self.conns, self.seconds = build, tmp, what, conns, seconds
        self.sums = content(tmp)
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = cores[0], cores[-1]

    def fetch(self, address, port):
        """The client's own arguments."""
        return [address, port, "/" + self.what, self.sums[self.what], str(self.conns), str(self.seconds)]


# Ports and devices of server and client. memif's server end copies nothing: the other takes frames from where they lie, as a NIC does, or a
# veth. (DPDK 22.11's loses count of a packet in several buffers when its ring is full: the ring is larger than what the client's windows let
# come.) virtio has TSO and leaves checksums unwritten, as a veth with its offloads.
MEMIF = {"server": ("memif0", "net_memif0,role=client,zero-copy=yes,socket-abstract=no,rsize=13,socket="),
         "client": ("memif0", "net_memif0,role=server,socket-abstract=no,rsize=13,socket=")}
VIRTIO = {"server": ("virtio_user0", "net_virtio_user0,queue_size=1024,path="), "client": ("vhost0", "net_vhost0,tso=1,iface=")}


def leat_end(b, name, program, core, wire, sysctls):
    port, device = wire[name]
    conf = "%s/%s.conf" % (b.tmp, name)
    with open(conf, "w") as f:
        f.write("[leat]\nmemory = 768\ncontrol = %s/%s.sock\n[port %s]\naddr = 10.9.0.%d/24\n[sysctl]\n"
                "net.inet.ip.dad_count = 0\n%s\n" % (b.tmp, name, port, 1 if name == "server" else 2, "\n".join(sysctls)))
    return ["taskset", "-c", str(core), b.build + program, "--conf", conf, "--", "-l", str(core), "--no-huge", "--single-file-segments",
            "--vdev=%s%s/wire" % (device, b.tmp), "--"]


def leat(b, backend, wire=MEMIF):
    """The client begins: its end of the wire is the one that waits for another."""
    env = dict(os.environ, RUNTIME_DIRECTORY=b.tmp, XDG_RUNTIME_DIR=b.tmp)
    for name in ("wire", "server.sock", "client.sock"):
        if os.path.exists(b.tmp + "/" + name):
            os.unlink(b.tmp + "/" + name)
    client = Client(leat_end(b, "client", "/tests/bench/https", b.client_core, wire, ["net.inet.tcp.recvbuf_max = 65536"]) + b.fetch("10.9.0.1", "443"), env)
    server = None
    try:
        wait_for(b.tmp + "/wire", client.p)
        server = subprocess.Popen(
            leat_end(b, "server", "/examples/httpd/httpd", b.server_core, wire,
                     ["leat.engine.idle_us = 50", "leat.engine.idle_turns = 20", "kern.ipc.tls.threads = 0", "kern.ipc.tls.backends = " + backend]) +
            ["--root", b.tmp + "/www", "--tls", b.tmp + "/cert.pem", b.tmp + "/key.pem", "--max-requests", "100000000"],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(b.tmp + "/server.sock", server)
        time.sleep(1)
        return client.measure(server.pid, b.server_core)
    finally:
        client.end()
        if server:
            stop(server)


def wait_for(path, process):
    while not os.path.exists(path):
        if process.poll() is not None:
            raise SystemExit("tests/bench/run: a process of the benchmark has ended before it began")
        time.sleep(0.1)


@contextlib.contextmanager
def veth(b, offloads):
    """Two network namespaces and a wire between them; what is received is the work of the CPU of the end that receives (RPS), as a NIC's
    interrupts would have it. Yields what runs a command on the server's side, and on the client's."""
    near, far = ["leat-bench-%s-%d" % (n, os.getpid()) for n in ("server", "client")]

    def run(*command):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for ns in (near, far):
            run("ip", "netns", "add", ns)
        run("ip", "link", "add", "bench0", "netns", near, "type", "veth", "peer", "name", "bench0", "netns", far)
        for ns, host, core in ((near, 1, b.server_core), (far, 2, b.client_core)):
            inside = ["ip", "netns", "exec", ns]
            run(*inside, "ip", "addr", "add", "10.9.1.%d/24" % host, "dev", "bench0")
            if not offloads:
                run(*inside, "ethtool", "-K", "bench0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            run(*inside, "sh", "-c", "echo %x > /sys/class/net/bench0/queues/rx-0/rps_cpus" % (1 << core))
            run(*inside, "ip", "link", "set", "bench0", "up")
        time.sleep(0.5)
        yield ["ip", "netns", "exec", near], ["ip", "netns", "exec", far]
    finally:
        for ns in (near, far):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL)


def nginx_on(b, at_server, at_client, address):
    conf = b.tmp + "/nginx.conf"
    with open(conf, "w") as f:
        f.write("""daemon off; master_process off; worker_processes 1; pid %s/nginx.pid; error_log %s/error.log;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=10;
server { listen %s:8443 ssl; ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem; ssl_protocols TLSv1.3; root %s/www; } }
""" % (b.tmp, b.tmp, address, b.tmp, b.tmp, b.tmp))
    server = subprocess.Popen(at_server + ["taskset", "-c", str(b.server_core), "nginx", "-c", conf, "-p", b.tmp],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = Client(at_client + ["taskset", "-c", str(b.client_core), b.build + "/tests/bench/https_kernel"] + b.fetch(address, "8443"))
    try:
        time.sleep(1)
        return client.measure(server.pid, b.server_core)
    finally:
        client.end()
        stop(server)


def nginx(b, offloads=False):
    with veth(b, offloads) as (at_server, at_client):
        return nginx_on(b, at_server, at_client, "10.9.1.1")


SERVERS = {
    "nginx": nginx,
    "httpd openssl": lambda b: leat(b, "openssl"),
    "httpd ipsec_mb": lambda b: leat(b, "ipsec_mb"),
    "httpd ipsec_mb offloads": lambda b: leat(b, "ipsec_mb", VIRTIO),
    "nginx offloads": lambda b: nginx(b, offloads=True),  # the wire carries 64 KiB at a time and no checksums
    "nginx loopback": lambda b: nginx_on(b, [], [], "127.0.0.1"),
}


def https(build, kind, conns, seconds):
    """kind: big (1 MiB, sendfile) or small (512 bytes), "-more" with other wires for nginx. The servers by turns; medians."""
    what, _, more = kind.partition("-")
    names = list(SERVERS) if more else ["nginx", "httpd openssl", "httpd ipsec_mb"]
    got = {}
    with tempfile.TemporaryDirectory() as tmp:
        b = Bench(build, tmp, what, conns, seconds)
        for _ in range(3):
            for name in names:
                got.setdefault(name, []).append(SERVERS[name](b))
    unit, scale, field = ("MB/CPU-s", 1e6, "bytes") if what == "big" else ("replies/CPU-s", 1, "replies")
    median = {n: statistics.median(m[field] for m in got[n]) for n in got}
    for n in got:
        yield n, median[n] / scale, unit
        yield n + " busy", statistics.median(m["busy"] for m in got[n]), "of a CPU"
    for n in got:
        if n.startswith("httpd"):
            other = "nginx offloads" if n.endswith("offloads") else "nginx"
            yield n + " to " + other, median[n] / median[other], "times"


# ---- the plot ----


def plot(build, out):
    """An SVG of what a record costs the engine."""
    curves = []
    for backend, colour in (("openssl", "#b33"), ("ipsec_mb", "#27a")):
        seen = {m: v for m, v, _ in workers(build, backend, 0, 0)}
        for how, dash in (("inline", ""), ("busy", "6 3"), ("asleep", "2 3")):
            curves.append((backend, how, colour, dash, [max(1, seen["%d bytes %s" % (n, how)]) for n in SIZES]))
    import math
    left, top, width, height = 70, 30, 520, 300

    def x(i):
        return left + width * i / (len(SIZES) - 1)

    def y(v):
        return top + height * (5 - math.log10(v)) / 3  # 100 ns to 100 us

    svg = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 390" font-family="sans-serif" font-size="12">',
           '<rect width="780" height="390" fill="white"/>',
           '<text x="%d" y="18">Time of the engine\'s thread for a record, AES-256-GCM (payload in bytes; ns)</text>' % left]
    for power in (2, 3, 4, 5):
        svg.append('<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%d</text>'
                   % (left, y(10 ** power), left + width, left - 6, y(10 ** power) + 4, 10 ** power))
    for i, n in enumerate(SIZES):
        svg.append('<text x="%.1f" y="%d" text-anchor="middle">%d</text>' % (x(i), top + height + 18, n))
    for j, (backend, how, colour, dash, values) in enumerate(curves):
        points = " ".join("%.1f,%.1f" % (x(i), y(v)) for i, v in enumerate(values))
        svg.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>' % (points, colour, dash))
        text = {"inline": "by itself", "busy": "a worker at work", "asleep": "a worker asleep"}[how]
        svg.append('<path d="M605 %dh30" stroke="%s" stroke-width="2" stroke-dasharray="%s"/><text x="640" y="%d">%s, %s</text>'
                   % (50 + 20 * j, colour, dash, 54 + 20 * j, backend, text))
    svg.append("</svg>")
    with open(out, "w") as f:
        f.write("<!-- SPDX-License-Identifier: BSD-3-Clause: tests/bench/run --plot -->\n" + "\n".join(svg) + "\n")
    for backend, how, _, _, values in curves:
        print("%-9s %-7s %s" % (backend, how, " ".join("%7.0f" % v for v in values)))
