#!/usr/bin/env python3
"""Measures what a small message costs and compares it with recorded.txt, or records it there.

    figures.py compare|record WORKLOAD LIBRARY        (beside a test server: scripts/with-server)

Counts, not seconds. What the library does by the clock, whatever the number of messages, has a limit of its own and is
shown but not recorded: it depends on how long the run takes.
"""

import collections
import os
import pathlib
import platform
import re
import sys
import tempfile

sys.dont_write_bytecode = True

import instructions
import system_calls

RECORDED = pathlib.Path(__file__).resolve().parent / "recorded.txt"
TOLERANCE = 0.03

ECHOES = 4000
# The difference between two runs, of the usual way through the library: opening and closing do not count.
MESSAGES = (20000, 40000)
# Received in so many batches (as in workload.c): a batch is one receive of at most 4 KiB in either run, so the
# difference is what a message costs that lies in the chunk.
BATCHES = 200

# Nothing may be worse than this, whatever was recorded.
LIMITS = {
    "system calls per echo": 3,
    "instructions per message received": 150,
    "locked instructions per message received": 4,
    # Wake-ups of the internal thread, random masks in batches.
    "further system calls per echo": 0.25,
    # A look at its streams every 5 ms; a thread that is handed each message makes ten times as many.
    "system calls of the library's threads per second": 1500,
}

HEAD = """\
# What a small message costs, written by `make figures` and compared within {tolerance:.0%} by `make test`.
# Counted on x86-64 with 16-byte binary messages in the release build, on the calling thread: the system calls of the
# usual round trip by strace, instructions inside libwsstream.so by callgrind, libc and kernel not included.
"""


def echo_figures(workload, scratch):
    """The usual round trip's system calls; and what there was besides, by the clock."""
    url = os.environ["WSSTREAM_TEST_URL"] + "/echo"
    log = system_calls.of([workload, "echo", url, str(ECHOES)], scratch)
    rounds = log.rounds()
    usual, _ = collections.Counter(rounds).most_common(1)[0]
    figures = {"system calls per echo": len(usual)}
    figures |= {f"  {name} per echo": count for name, count in collections.Counter(usual).items()}
    further = sum((collections.Counter(one) - collections.Counter(usual) for one in rounds), collections.Counter())
    by_the_clock = {
        "further system calls per echo": further.total() / len(rounds),
        "system calls of the library's threads per second": log.others.total() / log.seconds,
    }
    for whose, calls in (("further, on the calling thread", further), ("on the library's threads", log.others)):
        print(f"{whose}: " + ", ".join(f"{name} {count}" for name, count in calls.most_common()))
    return figures, by_the_clock


def instruction_figures(workload, library, work, path, scratch):
    """Instructions, and the locked ones among them, of one message inside the library."""
    def run(count):
        url = os.environ["WSSTREAM_TEST_URL"] + path.format(batch=count // BATCHES)
        return instructions.of_main_thread([workload, work, url, str(count)], library, scratch)

    short, long = (run(count) for count in MESSAGES)
    if not long:
        sys.exit(f"figures: no instruction of {library.name} was counted")
    difference = MESSAGES[1] - MESSAGES[0]
    locked = instructions.locked_addresses(library)
    # Times per message, by address, of the usual way: what happens once in many messages (a receive, random masks, the
    # internal thread driving for a caller that was not scheduled) rounds to none.
    usual = {address: round((long[address] - short[address]) / difference) for address in long}
    return float(sum(usual.values())), float(sum(usual[address] for address in locked & usual.keys()))


def measure(workload, library):
    """The figures that are recorded, in the order of the file, and those that go by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        figures, by_the_clock = echo_figures(workload, scratch)
        works = (("message received", "receive", "/answer?n={batch}&size=16&type=binary"),
                 ("message sent with MORE", "send", "/sink"),
                 ("message of write_many", "send_many", "/sink"))
        for name, work, path in works:
            total, locked = instruction_figures(workload, library, work, path, scratch)
            figures[f"instructions per {name}"] = total
            figures[f"locked instructions per {name}"] = locked
    return figures, by_the_clock


def rows(figures):
    """The lines of the file."""
    return [f"{name:<52}{value:>9.3f}" for name, value in figures.items()]


def read_recorded():
    """The committed figures by name."""
    lines = RECORDED.read_text().splitlines()
    found = (re.match(r"(.*\S)\s+(-?[\d.]+)$", line) for line in lines if not line.startswith("#"))
    return {one[1]: float(one[2]) for one in found if one}


def beyond(figures):
    """What is over its limit, a sentence each."""
    for name, limit in LIMITS.items():
        # A hundredth for what happens once in hundreds of messages.
        if figures[name] > limit * 1.01:
            yield f"{name}: {figures[name]:.3f} is over the limit of {limit}"


def differences(figures, recorded):
    """What is not what was recorded, a sentence each."""
    for name in sorted(figures.keys() | recorded.keys()):
        here, there = figures.get(name, 0.0), recorded.get(name, 0.0)
        if abs(here - there) > max(TOLERANCE * there, 0.01):
            yield f"{name.strip()}: {here:.3f}, recorded is {there:.3f}; if that is meant: make figures"


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("compare", "record"):
        sys.exit(__doc__)
    if platform.machine() != "x86_64":
        sys.exit("figures: recorded on x86-64 only")
    figures, by_the_clock = measure(sys.argv[2], pathlib.Path(sys.argv[3]))
    print("\n".join(rows(figures | by_the_clock)))
    if sys.argv[1] == "record":
        RECORDED.write_text(HEAD.format(tolerance=TOLERANCE) + "\n".join(rows(figures)) + "\n")
    wrong = [*beyond(figures | by_the_clock), *differences(figures, read_recorded())]
    if wrong:
        sys.exit("\n".join(["figures:", *wrong]))


if __name__ == "__main__":
    main()
