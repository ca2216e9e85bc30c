"""Writes what came of the mutants: report.py TREE > docs/mutants-list.md

A table of verdicts for each file, then each mutant that was missed with the judgement of it in judgements.txt, and at last those
without one. A line there is FILE FUNCTION MUTATION | judgement, with `*` for anything and `?` for a blank, or FILE:LINE for the
mutants of one line; the first that matches counts.
"""
import collections
import fnmatch
import json
import pathlib
import re
import sys

from run import verdicts_of

NAME = re.compile(r"^src/(?P<file>\S+?):(?P<line>\d+):\d+: (?P<what>.*?)(?: in (?P<function>.*))?$")
VERDICTS = ["caught", "timed out", "missed", "unviable", "constant", "not run"]


def judgements():
    for line in (pathlib.Path(__file__).parent / "judgements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            place, text = line.split(" | ", 1)
            file, function, what = place.split(" ", 2)
            yield file, function, what.strip(), text


def parts(name):
    match = NAME.match(name)
    what, function = match["what"], match["function"]
    if function is None:
        replaced = re.match(r"replace (.+?)(?: -> .*)? with (.*)$", what)
        function, what = (replaced[1], f"answers {replaced[2]}") if replaced and len(replaced[1]) > 3 else ("-", what)
    return match["file"], match["line"], function.replace(" ", ""), what


def main():
    tree = pathlib.Path(sys.argv[1])
    mutants = json.loads((tree / "mutants.json").read_text())
    last = verdicts_of(tree)
    table, missed = collections.defaultdict(collections.Counter), []
    for mutant in mutants:
        verdict = last.get(mutant["number"], "not run") if mutant["state"] == "switched" else mutant["state"]
        table[mutant["file"]][verdict] += 1
        if verdict == "missed":
            missed.append(parts(mutant["name"]))
    print("| file | mutants |", " | ".join(VERDICTS), "|")
    print("|---|" + "---|" * (len(VERDICTS) + 1))
    layers = collections.defaultdict(collections.Counter)
    for file, counts in sorted(table.items()):
        layers[file.split("/")[1]] += counts
        print(f"| `{file.removeprefix('src/')}` | {sum(counts.values())} |", " | ".join(str(counts[verdict] or "") for verdict in VERDICTS), "|")
    for layer, counts in sorted(layers.items()):
        noticed, viable = counts["caught"] + counts["timed out"], counts["caught"] + counts["timed out"] + counts["missed"]
        print(f"\n`{layer}`: {noticed} of {viable} that were run are noticed, {100 * noticed / max(viable, 1):.1f} %.")
    rows, unjudged = collections.defaultdict(list), collections.defaultdict(list)
    known, used = list(judgements()), set()
    for file, line, function, what in missed:
        for judgement in known:
            place, *patterns, text = judgement
            is_there = fnmatch.fnmatchcase(file, place) or place == f"{file}:{line}"
            if is_there and all(map(fnmatch.fnmatchcase, (function, what), patterns)):
                rows[file, function, text].append(f"{line} {what}")
                used.add(judgement)
                break
        else:
            unjudged[file, function].append(f"{line} {what}")
    print(f"\n{sum(map(len, rows.values()))} of those missed are judged, {sum(map(len, unjudged.values()))} are not.")
    print("\n| function | missed | judgement |\n|---|---|---|")
    for (file, function, text), places in rows.items():
        print(f"| `{file}` `{function}` | {cell(places)} | {text} |")
    print("\n| function | missed and not judged |\n|---|---|")
    for (file, function), places in unjudged.items():
        print(f"| `{file}` `{function}` | {cell(places)} |")

    for judgement in known:
        if judgement not in used:
            print("no missed mutant fits:", *judgement[:3], file=sys.stderr)


def cell(places):
    """Lines and mutations, as short as they can be read."""
    return "; ".join(place.replace("replace ", "").replace("|", "\\|") for place in places)


if __name__ == "__main__":
    main()
