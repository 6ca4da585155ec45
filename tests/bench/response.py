# SPDX-License-Identifier: BSD-3-Clause
"""Mean windows for a chance of loss: the published functions, and what the rules they are derived from give where the functions leave
something out.

The published functions are of a model in which every 1/p-th segment is lost, windows are not whole segments, a loss is known at once and
repaired in no time, repairs are not lost, and no timeout is needed. steady() plays the same rules (RFC 5681 with byte counting; RFC 9438
sections 4.2 to 4.7) round by round with periodic or with independent losses, whole segments, a third duplicate that has to come (RFC 6675,
RFC 3042), rounds that repair, and timeouts where nothing else helps. No delayed ACKs, no code of Leat's."""
import math
import random

CUBIC_C, CUBIC_BETA = 0.4, 0.7
CUBIC_ALPHA = 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA)


def reno_window(p, rtt):
    """Segments. Mathis and others (1997), equation 3; RFC 9438 equation 7 has the same."""
    return math.sqrt(1.5 / p)


def cubic_window(p, rtt):
    """Segments. RFC 9438 section 5.1, equation 5; the greater of it and Reno's, for cubic follows that (section 4.3)."""
    w = (CUBIC_C * (3 + CUBIC_BETA) / (4 * (1 - CUBIC_BETA))) ** 0.25 * rtt**0.75 / p**0.75
    return max(w, reno_window(p, rtt))


PUBLISHED = {"newreno": reno_window, "cubic": cubic_window}


class Reno:
    def __init__(self, rtt):
        self.cwnd = 10.0

    def cut(self):
        self.cwnd = max(self.cwnd * 0.5, 2.0)

    def grow(self, share=1.0):
        """A round trip without loss, or a share of one."""
        self.cwnd += share


class Cubic:
    def __init__(self, rtt):
        self.rtt, self.cwnd = rtt, 10.0
        self.w_max = self.prior = self.est = self.k = self.t = 0.0

    def cut(self):
        self.prior = self.cwnd
        self.w_max = self.cwnd * (1 + CUBIC_BETA) / 2 if self.cwnd < self.w_max else self.cwnd
        self.cwnd = self.est = max(self.cwnd * CUBIC_BETA, 2.0)
        self.w_max = max(self.w_max, self.cwnd)
        self.k = ((self.w_max - self.cwnd) / CUBIC_C) ** (1 / 3)
        self.t = 0.0

    def grow(self, share=1.0):
        self.est += share * (CUBIC_ALPHA if self.est < self.prior else 1)
        self.t += share * self.rtt
        target = CUBIC_C * (self.t - self.k) ** 3 + self.w_max
        self.cwnd = max(min(max(target, self.cwnd), 1.5 * self.cwnd), self.est)


RULES = {"newreno": Reno, "cubic": Cubic}


class Wire:
    def __init__(self, model, p):
        self.model, self.p, self.chance = model, p, random.Random(1)
        self.left = self.gap()  # segments up to the next one that is lost, it included

    def gap(self):
        if self.model == "periodic":
            return round(1 / self.p)
        return 1 + int(math.log(1 - self.chance.random()) / math.log(1 - self.p))

    def send(self, n):
        """How many of the next n segments are lost."""
        lost = 0
        while self.left <= n:
            n -= self.left
            lost += 1
            self.left = self.gap()
        self.left -= n
        return lost


class Timeout(Exception):
    pass


def noticed(wire, duplicates):
    """Until the third duplicate, each of which lets a new segment out (RFC 3042): rounds, what was sent in them, what was lost of it."""
    rounds, sent, lost, last = 0, 0, 0, duplicates
    while duplicates < 3:
        if last == 0:
            raise Timeout
        gone = wire.send(last)
        rounds, sent, lost = rounds + 1, sent + last, lost + gone
        last -= gone
        duplicates += last
    return rounds, sent, lost


def repaired(wire, rules, lost):
    """Until all is repaired: rounds, new segments that arrived, and whether some of these did not, which is the next loss. A repair that is
    lost is found when something sent with it arrives, and asks for a cut of its own."""
    rounds, arrived, more = 0, 0, False
    while lost > 0:
        window = max(int(rules.cwnd), 1)
        again = min(lost, window)
        bad, new = wire.send(again), wire.send(window - again)
        rounds, arrived, more = rounds + 1, arrived + window - again - new, more or new > 0
        if bad + new == window:
            raise Timeout
        if bad > 0:
            rules.cut()
        lost -= again - bad
    return rounds, arrived, more


def steady(cc, model, p, rtt, rto, events=4000):
    """Segments delivered in a round trip, over so many cuts. model: "random", "periodic"; rtt, rto: s."""
    rules, wire = RULES[cc](rtt), Wire(model, p)
    skipped, soon = events // 10, False
    for event in range(events + skipped):
        if event in (0, skipped):
            delivered, rounds = 0, 0.0
        while not soon and wire.left > int(rules.cwnd):
            delivered += int(rules.cwnd)
            rounds += 1
            wire.send(int(rules.cwnd))
            rules.grow()
        # A window is on its way when the first loss is known; others in it ask for no cut of their own.
        window = int(rules.cwnd)
        first = 1 if soon else wire.left
        lost = (1 if soon else 0) + wire.send(first + window - (2 if soon else 1))
        delivered += first + window - 1
        rounds += (first + window - 1) / window
        rules.grow((first - 1) / window)
        soon = False
        try:
            more, sent, missing = noticed(wire, window - lost)
            rounds, delivered = rounds + more, delivered + sent
            rules.cut()
            more, new, soon = repaired(wire, rules, lost + missing)
            rounds, delivered = rounds + more, delivered + new
        except Timeout:
            rules.cut()
            rounds += rto / rtt + math.log2(rules.cwnd)  # and slow start
            delivered += int(rules.cwnd)
    return delivered / rounds
