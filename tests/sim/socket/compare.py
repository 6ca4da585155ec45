#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare.py DOCS LEAT KERNEL [LEAT KERNEL]...: runs both builds of each file of scenarios and holds their traces against each other. Where they differ on purpose, the table
of DOCS has the line "| scenario: step | Leat's | Linux's | why |"; a line of the table that is no difference any more is a failure, too."""
import re
import subprocess
import sys

docs, programs = sys.argv[1], sys.argv[2:]


def trace(program):
    done = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=250)
    if done.returncode == 77:
        print("no network namespaces here")
        sys.exit(77)
    if done.returncode != 0:
        sys.exit("%s ended with %d after\n%s" % (program, done.returncode, done.stdout[-2000:]))
    found = [re.fullmatch(r"([^=]+?) = ?(.*)", line) for line in done.stdout.splitlines()]
    return [(m[1], m[2].strip()) for m in found if m]


with open(docs) as f:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in f if line.startswith("|")]
meant = {row[0]: (row[1], row[2]) for row in rows if len(row) == 4 and ": " in row[0]}
ours = [step for program in programs[0::2] for step in trace(program)]
theirs = [step for program in programs[1::2] for step in trace(program)]
bad, used, at = 0, set(), dict(theirs)
for step, result in ours:
    expected = at.pop(step, "(not reached)")
    if result == expected:
        continue
    used.add(step)
    if meant.get(step) != (result, expected):
        bad += 1
        print("%s: Leat %s, Linux %s%s" % (step, result, expected, " (documented otherwise)" if step in meant else ""))
for step, result in at.items():
    used.add(step)
    if meant.get(step) != ("(not reached)", result):
        bad += 1
        print("%s: Leat did not come here, Linux %s" % (step, result))
for step in sorted(set(meant) - used):
    bad += 1
    print("%s: %s says that they differ; they don't" % (step, docs))
print("%d steps alike, %d differ on purpose, %d by mistake" % (len(ours) - len(used), len(used), bad))
sys.exit(bad > 0)
