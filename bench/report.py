#!/usr/bin/env python3
"""Makes docs/performance.md and its drawing of what run.py has left: report.py [RESULTS]"""
import json
import pathlib
import sys

import rows
import run

DOCS = run.ROOT / "docs"
OURS, LIMIT = "wsstream", "limit"

HEAD = """\
# Performance

Made by `make bench`, which measures everything anew; [bench](../bench/README.md) says what each row is and how it is measured.
Server and client have a core each. A figure is the median of {rounds} rounds in which the clients take turns, of the processor
time that the client's process spends, if nothing else is said. Compare figures of one table only: on this machine one and the
same program differs by a fifth from minute to minute, so ratios between 0.9 and 1.1 say nothing.

{processor}, {cores} cores, Linux {kernel}.

![how much of the best peer's cost wsstream has](performance.svg)

*to best*: our figure divided by that of the best peer; *to limit*: divided by that of hand-made frames on a blocking socket,
which knows no errors, no timeouts and no other thread. Below 1 is better. `-`: the client cannot do it.
"""


def shown(figure, row):
    if figure is None:
        return "-"
    if row.figure == "bytes":
        return f"{figure:,.0f} B"
    return f"{figure:,.1f} ns" if figure < 1000 else f"{figure / 1000:,.1f} µs"


def best_peer(figures):
    peers = {client: figure for client, figure in figures.items() if client not in (OURS, LIMIT)}
    return min(peers, key=peers.get) if peers else None


def ratio(figures, other):
    return f"{figures[OURS] / figures[other]:.2f}" if OURS in figures and figures.get(other) else "-"


def summary(figures_of):
    yield "| | wsstream | limit | best peer | to best | to limit |"
    yield "|---|---|---|---|---|---|"
    for row, figures in figures_of.items():
        best = best_peer(figures)
        named = f"{best} {shown(figures[best], row)}" if best else "-"
        cells = [shown(figures.get(OURS), row), shown(figures.get(LIMIT), row), named, ratio(figures, best), ratio(figures, LIMIT)]
        yield f"| {row.name} | " + " | ".join(cells) + " |"


def table(figures_of, clients):
    yield "| | " + " | ".join(clients) + " |"
    yield "|---" * (len(clients) + 1) + "|"
    for row, figures in figures_of.items():
        yield f"| {row.name} | " + " | ".join(shown(figures.get(client), row) for client in clients) + " |"


def scaling(results):
    yield "| | a message, to the processor | to open all | memory of a stream |"
    yield "|---|---|---|---|"
    for row in rows.scale():
        for result in sorted(results["rows"].get(row.name, {}).get(OURS, []), key=row.value)[len(results) // 2:][:1]:
            yield f"| {row.name} | {shown(row.value(result), row)} | {result['open_us'] / 1000:,.0f} ms | {result['memory']:,} B |"


def drawing(figures_of):
    """A bar for each row: how much of the best peer's cost is ours, on a scale to twice as much."""
    drawn = [(row, figures, best_peer(figures)) for row, figures in figures_of.items()]
    drawn = [(row, figures[OURS] / figures[best], best) for row, figures, best in drawn if best and OURS in figures]
    left, wide, high = 260, 400, 22
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 180}" height="{high * len(drawn) + 30}" font-family="sans-serif" font-size="12">'
    yield '<rect width="100%" height="100%" fill="white"/>'
    for place, (row, share, best) in enumerate(drawn):
        top, width = 10 + high * place, wide * min(share, 2) / 2
        colour = "#2a7f62" if share <= 1.1 else "#c0752a"
        yield f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{row.name}</text>'
        yield f'<rect x="{left}" y="{top + 2}" width="{width:.0f}" height="{high - 7}" fill="{colour}"/>'
        yield f'<text x="{left + width + 6:.0f}" y="{top + 13}">{share:.2f} of {best}</text>'
    bottom = 10 + high * len(drawn)
    yield f'<line x1="{left + wide // 2}" y1="4" x2="{left + wide // 2}" y2="{bottom}" stroke="#555" stroke-dasharray="3"/>'
    yield f'<text x="{left + wide // 2}" y="{bottom + 14}" text-anchor="middle">as the best peer</text>'
    yield "</svg>"


def versions(results, clients):
    found = {client: of[0]["version"] for figures in results["rows"].values() for client, of in figures.items()}
    # Several clients may be of one library.
    named = dict.fromkeys(found[client].replace("/", " ") for client in clients if client in found and client != LIMIT)
    return ", ".join(named)


PYTHON = """\
## Python

The clients in Python, each a process of CPython {python} with asyncio's own loop. *To best*: wsstream for asyncio divided by the best
of the three peers, which are for asyncio, too. picows calls back with each frame and lends its bytes; the others give messages that
stay. Only wsstream can gather messages.
"""


def python_table(figures_of):
    yield "| | " + " | ".join(rows.PYTHON) + " | to best |"
    yield "|---" * (len(rows.PYTHON) + 2) + "|"
    for row, figures in figures_of.items():
        peers = [figure for client, figure in figures.items() if not client.startswith(OURS)]
        ours = figures.get("wsstream_asyncio")
        share = f"{ours / min(peers):.2f}" if ours and peers else "-"
        cells = [shown(figures.get(client), row) for client in rows.PYTHON]
        yield f"| {row.name.removeprefix('Python: ')} | " + " | ".join(cells) + f" | {share} |"


def main():
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else run.BUILD / "results.json"
    results = json.loads(path.read_text())
    own_tables = ("scale", "python")
    figures_of = run.medians(results, rows.rows(group for group in rows.GROUPS if group not in own_tables))
    python_figures = run.medians(results, rows.python())
    clients = [client for client in run.CLIENTS if any(client in figures for figures in figures_of.values())]
    parts = [HEAD.format(rounds=results["rounds"], **results["machine"]), *summary(figures_of), "", "## Every client", ""]
    parts += [*table(figures_of, clients), "", versions(results, run.CLIENTS) + ".", "", "## Many streams in one process", ""]
    parts += [*scaling(results), "", "Messages come through callbacks; opening is one stream after the other."]
    if python_figures:
        head = PYTHON.format(python=results["machine"]["python"])
        parts += ["", head, *python_table(python_figures), "", versions(results, rows.PYTHON) + "."]
    (DOCS / "performance.md").write_text("\n".join(parts) + "\n")
    (DOCS / "performance.svg").write_text("\n".join(drawing(figures_of)) + "\n")


if __name__ == "__main__":
    main()
