"""What is measured: the rows of the table, and how a result becomes a figure. Nothing here runs anything."""
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Row:
    name: str
    work: str
    arguments: dict = field(default_factory=dict)
    # "ns": processor time of one; "latency": the median of a round trip; "bytes": memory of one.
    figure: str = "ns"
    secure: bool = False
    # Sizes of a text payload that the runner makes; the messages are compressed.
    text: int = 0
    # The clients that take part; all where it is empty.
    only: tuple = ()
    # Where it is not the one of the work.
    path: str = ""

    def value(self, result):
        if self.figure == "latency":
            return result["median_ns"]
        if self.figure == "bytes":
            return result["memory"]
        done = self.arguments["rate"] * self.arguments["seconds"] if self.work == "scale" else result["count"]
        return result["cpu_us"] * 1000 / done


def plain():
    yield Row("echo 16 B", "echo", {"size": 16})
    yield Row("echo 16 B, median", "echo", {"size": 16}, "latency")
    yield Row("echo 64 KiB", "echo", {"size": 65536})
    for name, size in (("16 B", 16), ("1 KiB", 1024), ("64 KiB", 65536), ("256 KiB", 262144), ("1 MiB", 1 << 20)):
        yield Row(f"receive {name}", "receive", {"size": size})
    for name, size in (("16 B", 16), ("1 KiB", 1024)):
        yield Row(f"send {name}, gathered", "send", {"size": size, "gather": 1})
    for name, size in (("64 KiB", 65536), ("1 MiB", 1 << 20)):
        yield Row(f"send {name}", "send", {"size": size})
    yield Row("64 echoes of 1 KiB, a write each", "pipeline", {"size": 1024})
    yield Row("64 echoes of 1 KiB, gathered", "pipeline", {"size": 1024, "gather": 1})
    yield Row("open and close", "open")
    yield Row("an idle connection", "idle", {"count": 1000}, "bytes")


def looking():
    both = ("limit", "wsstream")
    yield Row("echo 16 B, the limit looks for 50 µs", "echo", {"size": 16, "limit_spin": 50}, only=both)
    yield Row("echo 16 B, the limit looks for 50 µs, median", "echo", {"size": 16, "limit_spin": 50}, "latency", only=both)
    ours = ("wsstream",)
    yield Row("echo 16 B, never looking", "echo", {"size": 16, "spin": 0}, only=ours)
    yield Row("echo 16 B, never looking, median", "echo", {"size": 16, "spin": 0}, "latency", only=ours)
    yield Row("echo 16 B a millisecond later", "echo", {"size": 16}, only=ours, path="/late")
    yield Row("echo 16 B a millisecond later, never looking", "echo", {"size": 16, "spin": 0}, only=ours, path="/late")


def secure():
    yield Row("wss: echo 16 B", "echo", {"size": 16}, secure=True)
    yield Row("wss: receive 16 B", "receive", {"size": 16}, secure=True)
    yield Row("wss: receive 64 KiB", "receive", {"size": 65536}, secure=True)
    yield Row("wss: send 1 KiB, gathered", "send", {"size": 1024, "gather": 1}, secure=True)
    yield Row("wss: send 64 KiB", "send", {"size": 65536}, secure=True)
    yield Row("wss: open and close", "open", secure=True)
    yield Row("wss: an idle connection", "idle", {"count": 1000}, "bytes", secure=True)


def compressed():
    yield Row("compressed: echo 1 KiB of text", "echo", {"deflate": 1}, text=1024)
    yield Row("compressed: receive 1 KiB of text", "receive", {"deflate": 1}, text=1024)
    yield Row("compressed: receive 64 KiB of text", "receive", {"deflate": 1}, text=65536)
    yield Row("compressed: send 64 KiB of text", "send", {"deflate": 1}, text=65536)
    yield Row("compressed: an idle connection", "idle", {"count": 200, "deflate": 1}, "bytes", text=1024)


def scale():
    for count in (1, 100, 1000, 10000):
        name = f"{count} streams, 10,000 echoes a second"
        yield Row(name, "scale", {"count": count, "rate": 10000, "seconds": 2}, only=("wsstream",))


# The clients in Python, which have rows of their own.
PYTHON = ("wsstream_asyncio", "wsstream_blocking", "websockets", "aiohttp", "picows")


def python():
    yield Row("Python: echo 16 B", "echo", {"size": 16}, only=PYTHON)
    yield Row("Python: echo 16 B, median", "echo", {"size": 16}, "latency", only=PYTHON)
    yield Row("Python: 64 echoes of 16 B", "pipeline", {"size": 16, "gather": 1}, only=PYTHON)
    for name, size in (("16 B", 16), ("1 KiB", 1024), ("64 KiB", 65536)):
        yield Row(f"Python: receive {name}", "receive", {"size": size}, only=PYTHON)
    yield Row("Python: send 1 KiB", "send", {"size": 1024}, only=PYTHON)
    yield Row("Python: send 1 KiB, gathered", "send", {"size": 1024, "gather": 1}, only=PYTHON)


GROUPS = {"ws": plain, "look": looking, "wss": secure, "deflate": compressed, "scale": scale, "python": python}


def rows(groups):
    return [row for group in groups for row in GROUPS[group]()]
