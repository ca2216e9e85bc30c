"""Counts the system calls of a program per thread, from a log of `strace -f`.

It knows strace's lines and nothing of the library. A call that another thread interrupts in the log stands on two
lines; only the first is counted.
"""

import collections
import re
import subprocess

# "123 sendto(3, ..."; a line "123 <... poll resumed>" is the rest of one counted before.
CALL = re.compile(r"^(\d+)\s+([a-z_][a-z0-9_]*)\(")


def parse(log):
    """Counts by thread and name; the first thread in the log is the program's main thread."""
    threads = collections.OrderedDict()
    for line in log:
        call = CALL.match(line)
        if call:
            threads.setdefault(call[1], collections.Counter())[call[2]] += 1
    return list(threads.values())


def of_threads(command, scratch):
    """Runs the command under strace; the counters of its main thread and of all others together."""
    log = scratch / "strace.log"
    subprocess.run(["strace", "-f", "-qq", "-e", "signal=none", "-o", log, *command], check=True)
    with log.open(errors="replace") as lines:
        main, *others = parse(lines)
    return main, sum(others, collections.Counter())
