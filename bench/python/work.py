"""What the clients in Python share; ../README.md is the contract.

A client offers asyncio's or the blocking shape of: send(payload), send_many(payload, count), receive(), receive_many(count), each
with the fastest interface that its library documents, and its works are then `converse` below.
"""
import resource
import sys
import time

WORKS = ("echo", "pipeline", "receive", "send")
UNSUPPORTED = 3


def unsupported(what):
    print(f"unsupported: {what}", file=sys.stderr)
    sys.exit(UNSUPPORTED)


def processor_us():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1_000_000)


class Work:
    """CLIENT WORK URL KEY=VALUE..."""

    def __init__(self, name, url, *pairs):
        given = dict(pair.split("=", 1) for pair in pairs)
        self.name, self.version = name, ""
        self.count, self.size = int(given.pop("count")), int(given.pop("size", 16))
        self.window, self.gather = int(given.pop("window", 64)), given.pop("gather", "0") == "1"
        self.ca = given.pop("ca", None)
        if name not in WORKS or given:
            unsupported(f"{name} {given}")
        path = {"receive": f"/flood?count={self.count}", "send": f"/sink?count={self.count}"}.get(name, "/echo")
        self.url = url if url.count("/") > 2 else url + path
        self.payload = b"x" * self.size
        self.latencies = []

    def check(self, message):
        """Each whole binary message received, other than the answer of /sink."""
        if isinstance(message, str) or len(message) != self.size:
            sys.exit(f"failed: a message of {len(message)}, not {self.size} bytes")
        if self.size and (message[0] != 120 or message[-1] != 120):
            sys.exit("failed: a message with other bytes")

    def check_answer(self, message):
        if len(message) != 1:
            sys.exit(f"failed: an answer of {len(message)} bytes, not 1")

    def begin(self):
        self.processor, self.started = processor_us(), time.perf_counter_ns()

    def end(self):
        self.wall_us = (time.perf_counter_ns() - self.started) // 1000
        self.cpu_us = processor_us() - self.processor

    def print(self):
        figures = {"count": self.count, "cpu_us": self.cpu_us, "wall_us": self.wall_us}
        if self.name == "echo":
            ordered = sorted(self.latencies)
            figures["median_ns"], figures["p99_ns"] = ordered[len(ordered) // 2], ordered[(len(ordered) - 1) * 99 // 100]
        print(*(f"{key}={value}" for key, value in figures.items()), f"version={self.version}")


async def converse(work, peer):
    """Any work, with a client in the shape of asyncio. A blocking one is the same without a loop: it never suspends."""
    if work.name == "echo":
        for _ in range(work.count // 10):
            await peer.send(work.payload)
            work.check(await peer.receive())
        work.begin()
        for _ in range(work.count):
            begun = time.perf_counter_ns()
            await peer.send(work.payload)
            work.check(await peer.receive())
            work.latencies.append(time.perf_counter_ns() - begun)
    elif work.name == "pipeline":
        work.begin()
        left = work.count
        while left:
            window = min(left, work.window)
            await peer.send_many(work.payload, window)
            await peer.receive_many(window)
            left -= window
    elif work.name == "receive":
        await peer.send(work.payload)
        work.begin()
        await peer.receive_many(work.count)
    else:
        work.begin()
        await peer.send_many(work.payload, work.count)
        work.check_answer(await peer.receive())
    work.end()
