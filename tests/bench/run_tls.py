# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks of TLS, for tests/bench/run: the record path against the cipher alone, workers against the engine itself, and https against
nginx. Times are CPU time wherever they can be, so that others on the machine count little."""
import os
import re
import statistics
import subprocess
import tempfile
import time

SUITES = [("aes-128-gcm", "aes-128-gcm"), ("aes-256-gcm", "aes-256-gcm"), ("chacha20-poly1305", "chacha20-poly1305")]
SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
ROUNDS = 5


def value(command):
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True, timeout=300).stdout
    return float(text.split()[0])


def openssl_speed(cipher, size):
    text = subprocess.run(["openssl", "speed", "-seconds", "1", "-bytes", str(size), "-aead", "-evp", cipher],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return float(re.findall(r"([\d.]+)k$", text, re.M)[-1]) * 1000 / 1e9


def path(build, kind, size, seconds):
    """kind: the backend. Cipher and path by turns; the median of each. openssl speed -aead: whole messages, as records are."""
    bench = build + "/tests/bench/bench_tls"
    for suite, evp in SUITES:
        raw, whole = [], []
        for _ in range(ROUNDS):
            raw.append(openssl_speed(evp, size) if kind == "openssl" else value([bench, "raw", kind, suite, str(size), "0.5"]))
            whole.append(value([bench, "path", kind, suite, str(size), "0.5"]))
        r, w = statistics.median(raw), statistics.median(whole)
        yield suite + " cipher", r, "GB/s"
        yield suite + " records", w, "GB/s"
        yield suite + " share", w / r, "of the cipher"


def workers(build, kind, size, seconds):
    """The engine's time for a record of each size; kind: the backend."""
    bench = build + "/tests/bench/bench_tls"
    for n in SIZES:
        for how in ("inline", "busy", "asleep"):
            yield "%d bytes %s" % (n, how), value([bench, how, kind, "aes-256-gcm", str(n), "0.3"]), "ns"


# ---- https ----


def cpu_seconds(pid):
    """Of all threads, by the scheduler's clock: ticks see nothing of who sleeps and wakes between them."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def content(tmp):
    os.mkdir(tmp + "/www")
    with open(tmp + "/www/big", "wb") as f:
        f.write(os.urandom(1 << 20))
    with open(tmp + "/www/small", "wb") as f:
        f.write(os.urandom(512))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
                    "-keyout", tmp + "/key.pem", "-out", tmp + "/cert.pem"], check=True, stderr=subprocess.DEVNULL)


def measure(client, pid, env):
    """Bytes and replies for each second of the server's CPU, and of the clock."""
    p = subprocess.Popen(client, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    lines = iter(p.stdout.readline, "")
    for line in lines:
        if line.startswith("begin"):
            break
    before = cpu_seconds(pid)
    last = next(lines, "")
    used = cpu_seconds(pid) - before
    p.wait(30)
    found = re.match(r"(\d+) replies (\d+) bytes ([\d.]+) s", last)
    if not found:
        raise SystemExit("tests/bench/run: the https client measured nothing")
    replies, size, seconds = int(found[1]), int(found[2]), float(found[3])
    return {"replies": replies / used, "bytes": size / used, "rate": size / seconds, "busy": used / seconds}


def stop(p):
    p.terminate()
    p.wait(20)


def leat(build, tmp, backend, what, conns, seconds, cores):
    env = dict(os.environ, RUNTIME_DIRECTORY=tmp, XDG_RUNTIME_DIR=tmp)
    for name in ("memif", "server.sock", "client.sock"):
        if os.path.exists(tmp + "/" + name):
            os.unlink(tmp + "/" + name)

    def end(name, program, core, role):
        conf = "%s/%s.conf" % (tmp, name)
        with open(conf, "w") as f:
            f.write("[leat]\nmemory = 768\ncontrol = %s/%s.sock\n[port memif0]\naddr = 10.9.0.%d/24\n[sysctl]\n"
                    "net.inet.ip.dad_count = 0\nleat.engine.idle_us = %d\nleat.engine.idle_turns = 2\nkern.ipc.tls.threads = 0\nkern.ipc.tls.backends = %s\n"
                    % (tmp, name, 1 if role == "server" else 2, 50 if role == "server" else 0, backend))  # the client polls: its CPU time does not count
        return ["taskset", "-c", str(core), build + program, "--conf", conf, "--", "-l", str(core),
                "--vdev=net_memif0,role=%s,socket=%s/memif,socket-abstract=no" % (role, tmp), "--"]

    server = subprocess.Popen(end("server", "/examples/httpd/httpd", cores[0], "server") +
                              ["--root", tmp + "/www", "--tls", tmp + "/cert.pem", tmp + "/key.pem", "--max-requests", "100000000"],
                              env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(tmp + "/server.sock") and server.poll() is None:
            time.sleep(0.1)
        time.sleep(1)
        return measure(end("client", "/tests/bench/https", cores[-1], "client") + ["10.9.0.1", "443", "/" + what, str(conns), str(seconds)],
                       server.pid, env)
    finally:
        stop(server)


def nginx(build, tmp, what, conns, seconds, cores):
    conf = tmp + "/nginx.conf"
    with open(conf, "w") as f:
        f.write("""daemon off; master_process off; worker_processes 1; pid %s/nginx.pid; error_log %s/error.log;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=10;
server { listen 127.0.0.1:8443 ssl; ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem; ssl_protocols TLSv1.3; root %s/www; } }
""" % ((tmp,) * 5))
    server = subprocess.Popen(["taskset", "-c", str(cores[0]), "nginx", "-c", conf, "-p", tmp], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        return measure(["taskset", "-c", str(cores[-1]), build + "/tests/bench/https_kernel", "127.0.0.1", "8443", "/" + what, str(conns), str(seconds)],
                       server.pid, None)
    finally:
        stop(server)


def https(build, kind, conns, seconds):
    """kind: big (1 MiB, sendfile) or small (512 bytes). nginx and httpd by turns; medians."""
    cores = sorted(os.sched_getaffinity(0))
    got = {}
    with tempfile.TemporaryDirectory() as tmp:
        content(tmp)
        for _ in range(3):
            for name in ("nginx", "openssl", "ipsec_mb"):
                m = (nginx(build, tmp, kind, conns, seconds, cores) if name == "nginx"
                     else leat(build, tmp, name, kind, conns, seconds, cores))
                got.setdefault(name, []).append(m)
    unit, scale, field = ("MB/CPU-s", 1e6, "bytes") if kind == "big" else ("replies/CPU-s", 1, "replies")
    median = {n: statistics.median(m[field] for m in got[n]) for n in got}
    for n in got:
        yield n, median[n] / scale, unit
        yield n + " busy", statistics.median(m["busy"] for m in got[n]), "of a CPU"
    for n in ("openssl", "ipsec_mb"):
        yield n + " to nginx", median[n] / median["nginx"], "times"


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
