#!/usr/bin/env python3
"""Measures what a small message costs and compares it with recorded.txt, or records it there.

    figures.py compare|record WORKLOAD LIBRARY        (beside a test server: scripts/with-server)

Counts, not seconds: they are the same on a loaded machine. Each is the difference between two runs of different
length, so that opening and closing do not count.
"""

import pathlib
import os
import platform
import re
import sys
import tempfile

sys.dont_write_bytecode = True

import instructions
import system_calls

RECORDED = pathlib.Path(__file__).resolve().parent / "recorded.txt"
TOLERANCE = 0.03

ECHOES = (2000, 4000)
MESSAGES = (20000, 60000)

# The library's own threads look after their streams by the clock, so this one depends on how long the run takes; it is
# shown and has a limit, but is not recorded.
INTERNAL = "system calls of the library's threads per echo"

# Where nothing may be worse than this, whatever was recorded.
LIMITS = {
    INTERNAL: 0.5,
    "system calls per echo": 3,
    "instructions per message received": 150,
    "locked instructions per message received": 4,
}

HEAD = """\
# What a small message costs, written by `make figures` and compared within {tolerance:.0%} by `make test`.
# Counted on x86-64 with 16-byte binary messages, in the release build: system calls by strace on the calling thread,
# instructions by callgrind inside libwsstream.so on the calling thread, libc and kernel not included.
"""


def echo_figures(workload, url, scratch):
    """System calls of one round trip on the thread that writes and reads."""
    short, long = (system_calls.of_threads([workload, "echo", f"{url}/echo", str(count)], scratch) for count in ECHOES)
    difference = ECHOES[1] - ECHOES[0]
    calls = {name: (long[0][name] - short[0][name]) / difference for name in long[0] | short[0]}
    figures = {"system calls per echo": sum(calls.values())}
    figures |= {f"  {name} per echo": count for name, count in sorted(calls.items()) if round(count, 3)}
    figures[INTERNAL] = (long[1].total() - short[1].total()) / difference
    return figures


def instruction_figures(workload, library, work, path, scratch):
    """Instructions, and the locked ones among them, of one message inside the library."""
    def run(count):
        address = os.environ["WSSTREAM_TEST_URL"] + path.format(count=count)
        return instructions.of_main_thread([workload, work, address, str(count)], library, scratch)

    short, long = (run(count) for count in MESSAGES)
    if not long:
        sys.exit(f"figures: no instruction of {library.name} was counted")
    difference = MESSAGES[1] - MESSAGES[0]
    locked = instructions.locked_addresses(library)
    total = (long.total() - short.total()) / difference
    of_them = sum(long[address] - short[address] for address in locked) / difference
    return total, of_them


def measure(workload, library):
    """All figures by name, in the order of the file."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        figures |= echo_figures(workload, os.environ["WSSTREAM_TEST_URL"], scratch)
        works = (("message received", "receive", "/count?n={count}&size=16&type=binary"),
                 ("message sent", "send", "/sink"))
        for name, work, path in works:
            total, locked = instruction_figures(workload, library, work, path, scratch)
            figures[f"instructions per {name}"] = total
            figures[f"locked instructions per {name}"] = locked
    return figures


def row(name, value):
    """A line of the file."""
    return f"{name:<48}{value:>8.3f}"


def read_recorded():
    """The committed figures by name."""
    found = (re.match(r"(.*\S)\s+(-?[\d.]+)$", line) for line in RECORDED.read_text().splitlines()
             if not line.startswith("#"))
    return {one[1]: float(one[2]) for one in found if one}


def write_recorded(figures):
    rows = "".join(f"{row(name, value)}\n" for name, value in figures.items() if name != INTERNAL)
    RECORDED.write_text(HEAD.format(tolerance=TOLERANCE) + rows)


def differences(figures, recorded):
    """What is beyond its limit or not what was recorded, a sentence each."""
    for name, limit in LIMITS.items():
        # A thousandth for what happens once in thousands of messages.
        if figures[name] > limit + 0.001 * limit:
            yield f"{name.strip()}: {figures[name]:.3f} is over the limit of {limit}"
    for name in sorted((figures.keys() | recorded.keys()) - {INTERNAL}):
        here, there = figures.get(name, 0.0), recorded.get(name, 0.0)
        if abs(here - there) > max(TOLERANCE * there, 0.01):
            yield f"{name.strip()}: {here:.3f}, recorded is {there:.3f}; if that is meant: make figures"


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("compare", "record"):
        sys.exit(__doc__)
    if platform.machine() != "x86_64":
        sys.exit("figures: recorded on x86-64 only")
    figures = measure(sys.argv[2], pathlib.Path(sys.argv[3]))
    for name, value in figures.items():
        print(row(name, value))
    if sys.argv[1] == "record":
        write_recorded(figures)
    found = list(differences(figures, read_recorded()))
    if found:
        sys.exit("\n".join(["figures:", *found]))


if __name__ == "__main__":
    main()
