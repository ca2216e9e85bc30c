"""The system calls of a program whose main thread sends and receives in turn, from a log of `strace -f`.

It knows strace's lines and nothing of the library. A call that another thread interrupts in the log stands on two
lines; only the first is counted.
"""

import collections
import re
import subprocess

# "123 1795163542.4 sendto(3, ..."; a line "... <... poll resumed>" is the rest of one counted before.
CALL = re.compile(r"^(\d+) +([\d.]+) (?:([a-z_][a-z0-9_]*)\()?")
SENDS = ("sendto", "sendmsg", "write", "writev")


class Log:
    """What one run did."""

    def __init__(self, lines):
        calls = [found.groups() for found in map(CALL.match, lines) if found]
        main = calls[0][0]
        self.seconds = float(calls[-1][1]) - float(calls[0][1])
        self.main = [name for thread, _, name in calls if name and thread == main]
        self.others = collections.Counter(name for thread, _, name in calls if name and thread != main)

    def rounds(self):
        """The main thread's calls cut before each send: a tuple of names for each."""
        send = max(SENDS, key=self.main.count)
        starts = [place for place, name in enumerate(self.main) if name == send]
        return [tuple(self.main[start:end]) for start, end in zip(starts, starts[1:])]


def of(command, scratch):
    """Runs the command under strace."""
    path = scratch / "strace.log"
    subprocess.run(["strace", "-f", "-qq", "-ttt", "-e", "signal=none", "-o", path, *command], check=True)
    with path.open(errors="replace") as lines:
        return Log(lines)
