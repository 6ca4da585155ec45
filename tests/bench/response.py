# SPDX-License-Identifier: BSD-3-Clause
"""Mean windows for a chance of loss: the published functions, and what the rules they are derived from give when losses are independent.

The published functions are of a model in which every 1/p-th segment is lost, windows are not whole segments, and a loss is repaired in no
time. steady() plays the same rules (RFC 5681 with byte counting; RFC 9438 sections 4.2 to 4.7) with independent losses, whole segments,
and one round trip that repairs what was lost in a window, and nothing else: no timeouts, no delayed ACKs, no code of Leat's."""
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
        self.cwnd = max(int(self.cwnd) * 0.5, 2.0)

    def grow(self):
        """A round trip without loss."""
        self.cwnd += 1


class Cubic:
    def __init__(self, rtt):
        self.rtt, self.cwnd = rtt, 10.0
        self.w_max = self.prior = self.est = self.k = self.t = 0.0

    def cut(self):
        self.prior = self.cwnd
        self.w_max = self.cwnd * (1 + CUBIC_BETA) / 2 if self.cwnd < self.w_max else self.cwnd
        self.cwnd = self.est = max(int(self.cwnd) * CUBIC_BETA, 2.0)
        self.w_max = max(self.w_max, self.cwnd)
        self.k = ((self.w_max - self.cwnd) / CUBIC_C) ** (1 / 3)
        self.t = 0.0

    def grow(self):
        self.est += CUBIC_ALPHA if self.est < self.prior else 1
        self.t += self.rtt
        target = CUBIC_C * (self.t - self.k) ** 3 + self.w_max
        self.cwnd = max(min(max(target, self.cwnd), 1.5 * self.cwnd), self.est)


RULES = {"newreno": Reno, "cubic": Cubic}


def steady(cc, p, rtt, events=2000):
    """Segments delivered in a round trip, over so many cuts."""
    rules, chance = RULES[cc](rtt), random.Random(1)

    def until_loss():
        return 1 + int(math.log(1 - chance.random()) / math.log(1 - p))

    skipped = events // 10
    left, delivered, rounds = until_loss(), 0, 0.0
    for event in range(events + skipped):
        if event == skipped:
            delivered, rounds = 0, 0.0
        while left > int(rules.cwnd):
            left -= int(rules.cwnd)
            delivered += int(rules.cwnd)
            rounds += 1
            rules.grow()
        # Until the first loss is known a window leaves after it; others of that window ask for no cut of their own.
        end, lost = left + int(rules.cwnd), 0
        while left <= end:
            lost += 1
            left += until_loss()
        left -= end
        delivered += end - lost
        rounds += end / max(int(rules.cwnd), 1)
        rules.grow()
        rules.cut()
        # The round trip that repairs. What is lost in it is found after it.
        delivered += int(rules.cwnd)
        rounds += 1
        left = max(left - int(rules.cwnd), 1)
    return delivered / rounds
