#!/usr/bin/env python3
"""Measures: run.py [--groups ws,wss] [--only WORDS] [--clients A,B] [--rounds N] [--results FILE]

Server and client have a core each. First every client does each work once, briefly, to see how many messages last as long as a
measurement should; then they take turns, round after round. Leaves every single result in FILE and prints the medians.
"""
import argparse
import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile

import rows

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
CLIENTS = ["limit", "wsstream", "libwebsockets", "beast", "libcurl", "tungstenite", "tokio_tungstenite", "fastwebsockets",
           "sockudo_ws", "tokio_websockets", "yawc"]
# How long one measurement is to last, in microseconds, and at how many messages it begins.
DURATION = 120_000
BEGIN = {"open": 20}
UNSUPPORTED = 3
TIME_MAX = 120


def program(name):
    """The command of a client or the server; None: it was not built."""
    if name in rows.PYTHON:
        python = BUILD / "python" / "bin" / "python"
        return [str(python), "-B", str(ROOT / "bench" / "python" / "client.py"), name] if python.exists() else None
    found = [path for path in (BUILD / name, BUILD / "cargo" / "release" / name) if path.exists()]
    return [str(found[0])] if found else None


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


class Bench:
    """The server, and payload files for the rows that have text."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.cores = sorted(os.sched_getaffinity(0))
        self.certificate = self.folder / "ca.pem"
        command = [*program("wsstream-bench-server"), str(self.certificate)]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(self.cores[-1]))
        self.plain, self.secure = self.server.stdout.readline().split()

    def payload(self, size):
        path = self.folder / f"{size}.txt"
        if not path.exists():
            chance, text = random.Random(size), ""
            while len(text) < size:
                text += json.dumps({"id": len(text), "name": chance.choice(["stream", "frame", "message", "close"]),
                                    "value": chance.randint(0, 10**6), "ok": chance.random() < 0.9}) + "\n"
            path.write_text(text[:size])
        return path

    def run(self, client, row, count):
        """The result; None: the client cannot do it."""
        arguments = {**row.arguments, "count": count}
        if row.secure:
            arguments["ca"] = self.certificate
        if row.text:
            arguments["payload"] = self.payload(row.text)
        command = [*program(client), row.work, (self.secure if row.secure else self.plain) + row.path]
        command += [f"{key}={value}" for key, value in arguments.items()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_MAX, preexec_fn=pinned(self.cores[0]))
        if done.returncode == UNSUPPORTED:
            return None
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode} {done.stderr.strip()}")
        return {key: int(value) if value.isdigit() else value for key, value in re.findall(r"(\w+)=(\S+)", done.stdout)}

    def count_for(self, client, row):
        """How many messages last long enough; None: the client cannot do it."""
        if "count" in row.arguments:
            return row.arguments["count"] if self.run(client, row, 1) else None
        count = BEGIN.get(row.work, 200)
        while True:
            result = self.run(client, row, count)
            if result is None:
                return None
            share = DURATION / max(result["wall_us"], 1)
            if share < 1.5:
                return count
            count = int(count * min(share, 20))


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"processor": model[1] if model else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "python": platform.python_version()}


def measure(arguments):
    chosen = [row for row in rows.rows(arguments.groups) if all(word in row.name for word in arguments.only)]
    results = {"machine": machine(), "rounds": arguments.rounds, "rows": {}}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        try:
            counts = {}
            for row in chosen:
                for client in arguments.clients:
                    if program(client) and client in (row.only or CLIENTS):
                        count = bench.count_for(client, row)
                        if count is not None:
                            counts[row, client] = count
                print(f"{row.name}: {', '.join(f'{c} {n}' for (r, c), n in counts.items() if r is row)}", file=sys.stderr)
            for number in range(arguments.rounds):
                for row, client in counts:
                    result = bench.run(client, row, counts[row, client])
                    results["rows"].setdefault(row.name, {}).setdefault(client, []).append(result)
                print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        finally:
            bench.server.kill()
    return results


def medians(results, chosen):
    """For each row and client the median of the figure, in the order of the rows."""
    return {
        row: {client: statistics.median(map(row.value, of)) for client, of in results["rows"][row.name].items()}
        for row in chosen
        if row.name in results["rows"]
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", type=lambda text: text.split(","), default=list(rows.GROUPS))
    parser.add_argument("--only", nargs="*", default=[], help="rows with these words")
    parser.add_argument("--clients", type=lambda text: text.split(","), default=[*CLIENTS, *rows.PYTHON])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=pathlib.Path, default=BUILD / "results.json")
    arguments = parser.parse_args()
    results = measure(arguments)
    arguments.results.write_text(json.dumps(results))
    for row, figures in medians(results, rows.rows(arguments.groups)).items():
        peers = {client: figure for client, figure in figures.items() if client not in ("limit", "wsstream")}
        print(f"{row.name:38}", " ".join(f"{client} {figure:,.1f}" for client, figure in sorted(figures.items(), key=lambda item: item[1])))
        if "wsstream" in figures and peers:
            best = min(peers, key=peers.get)
            limit = f", to the limit {figures['wsstream'] / figures['limit']:.2f}" if figures.get("limit") else ""
            print(f"{'':38} to {best} {figures['wsstream'] / peers[best]:.2f}{limit}")


if __name__ == "__main__":
    main()
