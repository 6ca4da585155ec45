#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tests/bench/behaviour.py [--build DIR] [--check] [--long] [--plots DIR] [--only cc|stacks]: how the congestion controls and the stacks behave, in the simulator.

Goodput for a chance of loss against the published response functions (RFC 9438 section 5; Mathis and others, 1997) and the rules they are
derived from, fairness of two flows, time to repair many losses at once. Then rack against the default stack (stacks.py; docs/rack.md). Prints a table. --check: fails where a figure is missed by more than
10 percent, Jain's index is below 0.95, or rack misses its limits. --long: the whole range (loss 0.01 to 3 percent, RTT 1 to 200 ms). --plots: draws SVG files into DIR."""
import argparse
import concurrent.futures
import math
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.dont_write_bytecode = True
import stacks  # noqa: E402
from response import PUBLISHED, steady  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
WITHIN = 0.10
JAIN = 0.95
# Everywhere windows are held against the rules of RFC 5681, RFC 9438 and RFC 6675 (response.py). Where the published functions themselves
# hold, against these too: up to 1 percent of independent losses for NewReno, for there chance adds what repairing takes; up to 0.1 percent of
# periodic ones (0.3 for NewReno), above which the round trip that repairs a loss is one of eight, for CUBIC without the convergence that gives way to a newcomer
# at long round trips (RFC 9438 section 4.7).
PUBLISHED_UP_TO = {("newreno", "random"): 0.01, ("newreno", "periodic"): 0.003, ("cubic", "periodic"): 0.001}
SLOWEST = {("cubic", "periodic"): 100}  # ms


def within(stack, p, rtt):
    """Of the rules. A timeout is 230 round trips of 1 ms, and the default stack needs one where only a retransmission was in flight."""
    return 0.2 if stack == "default" and p > 0.01 and rtt < 20 else WITHIN


def rto(stack, rtt):
    """s, by the defaults of rexmit_min and rexmit_slop; rack probes for the tail before (RFC 8985 section 7)."""
    return 2 * rtt if stack == "rack" else max(0.03, rtt + 0.001) + 0.2


class Runner:
    def __init__(self, build):
        self.program = build + "/tests/bench/behaviour"
        self.failures = []

    def run(self, *args):
        done = subprocess.run([self.program] + [str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit("behaviour %s: %s" % (" ".join(map(str, args)), done.stderr))
        return [line.split() for line in done.stdout.splitlines()]

    def judge(self, good, text):
        print(("     " if good else "MISS ") + text, flush=True)
        if not good:
            self.failures.append(text)


def parallel(f, jobs):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(f, jobs))


def events(p, most):
    """Losses to measure over: more where they are frequent."""
    return int(min(most, max(200, 1e6 * p)))


def response(r, stack, model, losses, rtts, most):
    """{(cc, p, rtt_ms): (share of packets that was lost, window in segments, the published one, the one by the rules)}, at the share lost."""
    jobs = [(cc, p, rtt) for cc in PUBLISHED for rtt in rtts for p in losses]
    found = {}
    for job, out in zip(jobs, parallel(lambda j: r.run("goodput", stack, j[0], model, j[1], j[2], events(j[1], most)), jobs)):
        cc, p, rtt = job
        rate, window, happened = (float(v) for v in out[0][5:8])
        published = PUBLISHED[cc](happened, rtt / 1e3)
        rules = steady(cc, model, happened, rtt / 1e3, rto(stack, rtt / 1e3))
        found[job] = (happened, window, published, rules)
        good = abs(window / rules - 1) <= within(stack, p, rtt)
        if p <= PUBLISHED_UP_TO.get((cc, model), 0) and rtt <= SLOWEST.get((cc, model), math.inf):
            good = good and abs(window / published - 1) <= WITHIN
        r.judge(good, "%-7s %-7s %-8s loss %5.2f %%  RTT %3g ms  goodput %8.2f Mbit/s  window %7.1f  published %7.1f  %+5.1f %%  by the rules %7.1f  %+5.1f %%  %s timeouts" % (
            stack, cc, model, p * 100, rtt, rate, window, published, (window / published - 1) * 100, rules, (window / rules - 1) * 100, out[0][8]))
    return found


def fairness(r, cases, seconds):
    found = []
    pairs = [("cubic", "cubic"), ("newreno", "newreno"), ("dctcp", "dctcp")]
    jobs = [p + c for c in cases for p in pairs]
    for job, out in zip(jobs, parallel(lambda j: r.run("pair", *j, seconds), jobs)):
        jain = float(out[0][7])
        found.append((job, jain))
        r.judge(jain >= JAIN, "%s and %s, %g Mbit/s, RTT %g ms, queue %d: %s and %s Mbit/s, Jain %.3f" % (job + (out[0][5], out[0][6], jain)))
    return found


def bursts(r, counts):
    jobs = [(cc, n) for cc in PUBLISHED for n in counts]
    found = {}
    for job, out in zip(jobs, parallel(lambda j: r.run("burst", j[0], 100, 50, j[1]), jobs)):
        found[job] = float(out[0][5])
        print("     %-8s %3d segments lost at once, %s in flight: repaired after %.2f RTT, %s sent again" % (
            job[0], job[1], out[0][4], found[job], out[0][6]), flush=True)
    return found


# ---- plots ----

INK, GRID, COLOURS = "#333333", "#dddddd", ["#1b6ca8", "#d1495b", "#66a182", "#edae49", "#7d5ba6", "#444444"]
W, H, LEFT, RIGHT, TOPM, BOTTOM = 720, 420, 70, 170, 44, 52


class Axis:
    def __init__(self, low, high, log, start, end):
        self.low, self.high, self.log, self.start, self.end = low, high, log, start, end

    def at(self, v):
        f = (math.log10(v / self.low) / math.log10(self.high / self.low)) if self.log else (v - self.low) / (self.high - self.low)
        return self.start + f * (self.end - self.start)

    def ticks(self):
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            return [10.0**e for e in range(first, last + 1) if self.low * 0.999 <= 10.0**e <= self.high * 1.001]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step = next(step * m for m in (1, 2, 2.5, 5, 10) if (self.high - self.low) / (step * m) <= 6)
        return [self.low + i * step for i in range(int((self.high - self.low) / step + 1.001))]


def chart(path, title, x, y, series):
    """x, y: (label, low, high, log). series: (label, colour, kind, points), kind "line", "dots" or "dash"."""
    ax, ay = Axis(x[1], x[2], x[3], LEFT, W - RIGHT), Axis(y[1], y[2], y[3], H - BOTTOM, TOPM)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="%s">' % (W, H, INK),
           '<!-- SPDX-License-Identifier: BSD-3-Clause -->',
           '<rect width="%d" height="%d" fill="white"/>' % (W, H),
           '<text x="%d" y="24" font-size="15">%s</text>' % (LEFT, title)]
    for t in ax.ticks():
        out.append('<path d="M%.1f %dV%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>' % (ax.at(t), H - BOTTOM, TOPM, GRID, ax.at(t), H - BOTTOM + 18, t))
    for t in ay.ticks():
        out.append('<path d="M%d %.1fH%d" stroke="%s"/><text x="%d" y="%.1f" text-anchor="end">%g</text>' % (LEFT, ay.at(t), W - RIGHT, GRID, LEFT - 6, ay.at(t) + 4, t))
    out.append('<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="%s"/>' % (LEFT, TOPM, W - RIGHT - LEFT, H - BOTTOM - TOPM, INK))
    out.append('<text x="%d" y="%d" text-anchor="middle">%s</text>' % ((LEFT + W - RIGHT) / 2, H - 14, x[0]))
    out.append('<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>' % ((TOPM + H - BOTTOM) / 2, y[0]))
    for i, (label, colour, kind, points) in enumerate(series):
        at = [(ax.at(px), ay.at(min(max(py, y[1]), y[2]))) for px, py in points]
        key = TOPM + 14 + 19 * i
        if kind == "dots":
            out += ['<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>' % (a, b, colour) for a, b in at]
            out.append('<circle cx="%d" cy="%d" r="4" fill="%s"/>' % (W - RIGHT + 22, key - 4, colour))
        else:
            dash = ' stroke-dasharray="5 4"' if kind == "dash" else ""
            d = "M" + "L".join("%.1f %.1f" % p for p in at)
            out.append('<path d="%s" fill="none" stroke="%s" stroke-width="1.6"%s/>' % (d, colour, dash))
            out.append('<path d="M%d %dh20" stroke="%s" stroke-width="1.6"%s/>' % (W - RIGHT + 12, key - 4, colour, dash))
        out.append('<text x="%d" y="%d">%s</text>' % (W - RIGHT + 38, key, label))
    out.append("</svg>\n")
    with open(path, "w") as f:
        f.write("\n".join(out))


def plot_response(folder, cc, rand, periodic, losses, rtts):
    series, curve = [], [10 ** (-4 + i * 2.48 / 40) for i in range(41)]
    shown = rtts if cc == "cubic" else rtts[-1:]
    for i, rtt in enumerate(shown):
        name = "RTT %g ms" % rtt if cc == "cubic" else "published"
        series.append((name, COLOURS[i], "line", [(p * 100, PUBLISHED[cc](p, rtt / 1e3)) for p in curve]))
    for i, rtt in enumerate(rtts):
        series.append(("measured, %g ms" % rtt, COLOURS[i], "dots", [(rand[cc, p, rtt][0] * 100, rand[cc, p, rtt][1]) for p in losses]))
    top = max(v[1] for k, v in rand.items() if k[0] == cc)
    chart(folder + "/response-%s.svg" % cc, "%s: window for a chance of loss" % cc, ("loss, %", 0.008, 4, True),
          ("mean window, segments", 1, 10 ** math.ceil(math.log10(top)), True), series)
    plot_shares(folder + "/rules-%s.svg" % cc, "%s: independent losses, held against the same rules played with such" % cc, cc, rand, losses, rtts)
    plot_shares(folder + "/periodic-%s.svg" % cc, "%s: every 1/p-th segment lost, held against the same rules" % cc, cc, periodic, losses, rtts)


def plot_shares(path, title, cc, found, losses, rtts):
    dots = [("RTT %g ms" % rtt, COLOURS[i], "dots", [(p * 100, found[cc, p, rtt][1] / found[cc, p, rtt][3]) for p in losses]) for i, rtt in enumerate(rtts)]
    lines = [("as it should be", INK, "line", [(0.008, 1), (4, 1)]), ("10 % more, less", INK, "dash", [(0.008, 1.1), (4, 1.1)]), ("", INK, "dash", [(0.008, 0.9), (4, 0.9)])]
    chart(path, title, ("loss, %", 0.008, 4, True), ("measured / expected", 0, 2, False), lines + dots)


def plot_fairness(folder, found):
    series = []
    for i, cc in enumerate(["cubic", "newreno", "dctcp"]):
        series.append(("two of " + cc, COLOURS[i], "dots", [(job[3], jain) for job, jain in found if job[0] == cc]))
    chart(folder + "/fairness.svg", "Two flows through one queue of one bandwidth-delay product", ("RTT, ms", 1, 300, True), ("Jain's index", 0.5, 1.0, False),
          series + [("0.95", INK, "dash", [(1, 0.95), (300, 0.95)])])


def plot_bursts(folder, found, counts):
    series = [(cc, COLOURS[i], "line", [(n, found[cc, n]) for n in counts]) for i, cc in enumerate(PUBLISHED)]
    chart(folder + "/burst.svg", "Segments lost at once (100 Mbit/s, 50 ms): time until all is repaired", ("segments lost", 0, max(counts), False),
          ("round trip times", 0, math.ceil(max(found.values()) + 1), False), series)


def plot_windows(folder, r):
    series, high = [], 0
    for i, cc in enumerate(["cubic", "newreno"]):
        points = [(float(t), float(w)) for t, w, _ in r.run("trace", cc, 50, 60, 250, 60)]
        high = max(high, max(w for _, w in points))
        series.append((cc, COLOURS[i], "line", points))
    chart(folder + "/windows.svg", "One flow alone: 50 Mbit/s, 60 ms, a queue of 250 packets", ("seconds", 0, 60, False),
          ("window, segments", 0, math.ceil(high / 100) * 100, False), series)


def congestion(r, whole, plots):
    losses = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2] if whole else [1e-3, 1e-2]
    rtts = [1, 20, 100, 200] if whole else [20, 100]
    rand = response(r, "default", "random", losses, rtts, 4000 if whole else 400)
    if not whole:  # where CUBIC is itself and does not follow Reno; and where windows are small
        response(r, "default", "random", [3e-4], [200], 300)
        response(r, "default", "random", [3e-2], [20], 4000)
    response(r, "rack", "random", [1e-2, 3e-2] if whole else [3e-2], rtts if whole else [1], 4000)
    periodic = response(r, "default", "periodic", losses if whole else [1e-3, 3e-2], rtts, 600 if whole else 60)
    cases = [(20, 10, 20), (20, 50, 84), (20, 200, 340)] if whole else [(20, 50, 84)]
    fair = fairness(r, cases, 200)
    counts = [1, 2, 5, 10, 20, 50, 100] if whole else [1, 20]
    repaired = bursts(r, counts)
    if plots:
        for cc in PUBLISHED:
            plot_response(plots, cc, rand, periodic, losses, rtts)
        plot_fairness(plots, fair)
        plot_bursts(plots, repaired, counts)
        plot_windows(plots, r)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--build", default=TOP + "/build-bench")
    a.add_argument("--check", action="store_true")
    a.add_argument("--long", action="store_true")
    a.add_argument("--plots", metavar="DIR")
    a.add_argument("--only", choices=["cc", "stacks"])
    a = a.parse_args()
    r = Runner(a.build)
    whole = a.long or a.plots
    if a.plots:
        os.makedirs(a.plots, exist_ok=True)
    if a.only != "stacks":
        congestion(r, whole, a.plots)
    if a.only != "cc":
        found = stacks.measure(r, whole)
        if a.plots:
            stacks.plot(a.plots, chart, found, COLOURS)
    print("%d figures missed" % len(r.failures))
    return 1 if a.check and r.failures else 0


if __name__ == "__main__":
    sys.exit(main())
