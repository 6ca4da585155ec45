# SPDX-License-Identifier: BSD-3-Clause
"""How rack behaves against the default stack on the same seeds (behaviour.py runs it): lost tails, transfers of 64 KiB, reordering, policed links, each with its limit."""
import concurrent.futures
import os

STACKS = ["default", "rack"]
NO_TIMEOUT, IN_TIME = 0.95, 0.95  # shares of flows whose last segment was lost
FASTER = 0.30  # 99th percentile of 64 KiB at 1 percent loss, at the round trips below
FASTER_AT = [10, 20]  # ms
SPURIOUS = 0.01
POLICED = 0.5  # of what is sent again unpaced
PACED = [("default", "unpaced"), ("rack", "unpaced"), ("rack", "paced")]


def parallel(f, jobs):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(jobs, pool.map(f, jobs)))


def transfers(r, rtts, count):
    """{(stack, rtt): 99th percentile, ms}"""
    out = parallel(lambda j: r.run("flows", j[0], 0.01, j[1], 65536, count)[0], [(s, rtt) for rtt in rtts for s in STACKS])
    for rtt in rtts:
        d, k = out["default", rtt], out["rack", rtt]
        gain = 1 - float(k[7]) / float(d[7])
        r.judge(rtt not in FASTER_AT or gain >= FASTER, "64 KiB, loss 1 %%, RTT %3g ms: p50 %s and %s, p99 %s and %s ms (%.0f %% less with rack), %s and %s timeouts; "
                "the slowest percent lost %s and %s segments each, %s and %s of it had a timeout" % (rtt, d[5], k[5], d[7], k[7], gain * 100, d[8], k[8], d[9], k[9], d[10], k[10]))
    return {j: float(o[7]) for j, o in out.items()}


def tails(r, rtts):
    """{(stack, rtt): share without a timeout}"""
    out = parallel(lambda j: r.run("tail", j[0], j[1], 10, 50)[0], [(s, rtt) for rtt in rtts for s in STACKS])
    for (stack, rtt), o in out.items():
        good = stack == "default" or (float(o[4]) >= NO_TIMEOUT and float(o[5]) >= IN_TIME)
        r.judge(good, "%-7s last segment lost, RTT %3g ms: without a timeout %5.1f %%, within two round trips and a delayed ACK %5.1f %%, mean %s round trips" % (
            stack, rtt, float(o[4]) * 100, float(o[5]) * 100, o[6]))
    return {j: float(o[4]) for j, o in out.items()}


def reordering(r, rtts):
    """{(stack, rtt): share of segments sent again for nothing}"""
    out = parallel(lambda j: r.run("reorder", j[0], j[1], 0.25, 30)[0], [(s, rtt) for rtt in rtts for s in STACKS])
    for (stack, rtt), o in out.items():
        r.judge(stack == "default" or float(o[3]) <= SPURIOUS, "%-7s 5 %% overtaken by a quarter of RTT %3g ms: %.2f %% sent again, %s Mbit/s" % (stack, rtt, float(o[3]) * 100, o[5]))
    return {j: float(o[3]) for j, o in out.items()}


def policed(r, seconds):
    """{(stack, how, rtt, bucket, part): share of segments sent again}"""
    links = [(rtt, bucket, part) for part in (0, 0.5) for bucket in (15, 50, 250) for rtt in (20, 50, 100)]
    out = parallel(lambda j: r.run("policed", j[0], j[1], 10, j[2], j[3], j[4], seconds)[0], [p + link for link in links for p in PACED])
    for rtt, bucket, part in links:
        found = [out[p + (rtt, bucket, part)] for p in PACED]
        print("     policed to 10 Mbit/s, bucket %3d kB, RTT %3d ms, %s: sent again " % (bucket, rtt, "bulk " if part == 0 else "video") +
              ", ".join("%.2f %% (%s Mbit/s)" % (float(o[6]) * 100, o[7]) for o in found), flush=True)
    again = {j: float(o[6]) for j, o in out.items()}
    for part, what in ((0, "bulk"), (0.5, "video")):
        mean = [sum(v for j, v in again.items() if j[:2] == p and j[4] == part) / (len(links) / 2) for p in PACED]
        r.judge(mean[2] <= POLICED * min(mean[:2]), "policed, %s: %.2f %% sent again by default, %.2f %% by rack, %.2f %% by rack when paced" % ((what,) + tuple(100 * m for m in mean)))
    return again


def measure(r, whole):
    return {"transfers": transfers(r, [10, 20, 50, 100] if whole else FASTER_AT, 2000), "tails": tails(r, [20, 50, 100, 200] if whole else [20, 100]),
            "reordering": reordering(r, [20, 50, 100, 200] if whole else [20, 100]), "policed": policed(r, 120)}


def plot(folder, chart, found, colours):
    def lines(what, scale):
        rtts = sorted({rtt for _, rtt in found[what]})
        return [(s, colours[i], "line", [(rtt, scale * found[what][s, rtt]) for rtt in rtts]) for i, s in enumerate(STACKS)]

    chart(folder + "/rack-tails.svg", "The last segment of a flow is lost: repaired without a timeout", ("RTT, ms", 0, 200, False), ("% of flows", 0, 105, False), lines("tails", 100))
    high = max(found["transfers"].values())
    chart(folder + "/rack-transfers.svg", "64 KiB at 1 % loss: 99th percentile of 2,000", ("RTT, ms", 0, 100, False), ("ms", 0, 100 * (high // 100 + 1), False), lines("transfers", 1))
    chart(folder + "/rack-reordering.svg", "5 % of the segments late by a quarter of the RTT: sent again for nothing", ("RTT, ms", 0, 200, False), ("% of segments", 0, 8, False), lines("reordering", 100))
    series = []
    for i, p in enumerate(PACED):
        means = []
        for ms in (20, 50, 100):
            of = [v for j, v in found["policed"].items() if j[:2] == p and j[2] == ms]
            means.append((ms, 100 * sum(of) / len(of)))
        series.append((p[0] + ", paced" * (p[1] == "paced"), colours[i], "line", means))
    chart(folder + "/rack-policed.svg", "Policed to 10 Mbit/s (buckets of 15, 50, 250 kB; bulk and video)", ("RTT, ms", 0, 100, False), ("% of segments sent again", 0, 2.5, False), series)
