"""The verdicts as text: one line per case, compared with the committed ones.

Owns the format of results.txt; runs nothing. Invariant: a file written by `save` is read back
by `load` to the same lines, in natural order.
"""

import dataclasses
import difflib
import json

from cases import natural_order, suite_version

HEAD = """\
# What the Autobahn|Testsuite says about wsstream: case, behavior, behavior of the close; where compression was
# agreed, what the messages of wsstream were.
# Suite: autobahntestsuite {version}. Regenerate: tests/autobahn/run.sh TESTEE --update
"""
MISSING = "MISSING MISSING"
GOOD = ("OK OK", "INFORMATIONAL INFORMATIONAL", "OK OK compressed")
COMPRESSED = {
    frozenset(): [],
    frozenset([True]): ["compressed"],
    frozenset([False]): ["uncompressed"],
    frozenset([False, True]): ["partly-compressed"],
}


def lines_of(ids, verdicts):
    """The verdict of each id in two or three words."""
    return {case_id: words_of(verdicts.get(case_id)) for case_id in ids}


def words_of(verdict):
    if verdict is None:
        return MISSING
    words = [verdict.behavior, verdict.behavior_close, *COMPRESSED[verdict.compressed]]
    return " ".join(word.replace(" ", "-") for word in words)


def load(path):
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def save(path, lines):
    ordered = sorted(lines.items(), key=lambda item: natural_order(item[0]))
    text = HEAD.format(version=suite_version()) + "".join(f"{case_id} {words}\n" for case_id, words in ordered)
    path.write_text(text, encoding="utf-8")


def save_details(path, verdicts):
    details = {case_id: dataclasses.asdict(verdict) for case_id, verdict in verdicts.items()}
    ordered = dict(sorted(details.items(), key=lambda item: natural_order(item[0])))
    path.write_text(json.dumps(ordered, indent=1, default=sorted) + "\n", encoding="utf-8")


def different(expected, actual):
    """The ids of `actual` whose line is not the expected one; a case that did not run never passes."""
    return [case_id for case_id, words in actual.items() if words == MISSING or words != expected.get(case_id)]


def may_be_late(expected, actual):
    """The ids whose only difference is that not all was echoed which the suite lets a client leave out."""
    return [case_id for case_id, words in actual.items() if words == "NON-STRICT OK" and expected.get(case_id) == "OK OK"]


def not_ok(lines):
    return [case_id for case_id, words in lines.items() if words not in GOOD]


def print_differences(failed, expected, actual, verdicts):
    """The cases that ran as a diff with the server's reasons; the others in one line."""
    ran = [case_id for case_id in failed if actual[case_id] != MISSING]
    missing = [case_id for case_id in failed if actual[case_id] == MISSING]

    def selected(lines):
        return [f"{case_id} {lines[case_id]}" for case_id in ran if case_id in lines]

    for line in difflib.unified_diff(selected(expected), selected(actual), "results.txt", "this run", n=0, lineterm=""):
        if not line.startswith("@@"):
            print(line)
    for case_id in ran:
        verdict = verdicts[case_id]
        print(f"{case_id}: {verdict.detail} {verdict.detail_close} Close code {verdict.remote_close_code}.")
    if missing:
        print(f"{len(missing)} did not finish: {' '.join(missing[:20])}{' ...' if len(missing) > 20 else ''}")
