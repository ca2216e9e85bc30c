"""Runs the Autobahn|Testsuite against one client and compares the verdicts with the committed ones.

Owns the command line, the choice of cases and the exit status; run.sh starts it in the environment it needs.
"""

import argparse
import contextlib
import fnmatch
import importlib.util
import os
import pathlib
import signal
import sys
import traceback

if not importlib.util.find_spec("lib2to3"):
    print("autobahn: the suite is Python 2; reading it needs Python 3.11 or 3.12 with lib2to3", file=sys.stderr)
    sys.exit(2)

import report
from cases import deal, load_cases, suite_version
from worker import Worker

RESULTS = pathlib.Path(__file__).parent.parent / "results.txt"
# Far above what a case takes on a slow machine under a sanitizer.
SECONDS_PER_CASE = 6

EXIT_AS_COMMITTED, EXIT_DIFFERENT, EXIT_ENVIRONMENT, EXIT_TESTEE_FAILED = range(4)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh",
        usage="%(prog)s TESTEE [OPTION...] [-- ARGUMENT...]",
        description="Runs the Autobahn|Testsuite against TESTEE, which gets ARGUMENT... and the server's URL.",
        epilog="Exit status: 0 as committed, 1 different, 2 usage or environment, 3 a testee failed or was killed.",
    )
    parser.add_argument("testee", metavar="TESTEE", help="the client under test")
    parser.add_argument("--cases", default="*", metavar="GLOBS", help="only these, such as '1.*,5.19'")
    parser.add_argument("--jobs", type=int, metavar="N", help="testees at once, a server each; default: processors")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="writes the verdicts in full, as JSON")
    parser.add_argument("--update", action="store_true", help="writes results.txt instead of comparing")
    parser.add_argument("--deadline", type=float, metavar="S", help=f"whole run; default {SECONDS_PER_CASE} s per case")
    parser.add_argument("--stall", type=float, default=60, metavar="S", help="silence of a testee; default 60 s")
    own, testees = split_at(sys.argv[1:], "--")
    arguments = parser.parse_args(own)
    if arguments.out and not arguments.out.parent.is_dir():
        parser.error(f"no folder {arguments.out.parent}")
    if arguments.jobs is None:
        arguments.jobs = os.cpu_count() or 1
    if arguments.jobs < 1:
        parser.error("--jobs is at least 1")
    # A file of the current folder needs no ./ before it.
    is_file = pathlib.Path(arguments.testee).is_file()
    arguments.command = [os.path.abspath(arguments.testee) if is_file else arguments.testee, *testees]
    return arguments


def split_at(words, separator):
    index = words.index(separator) if separator in words else len(words)
    return words[:index], words[index + 1 :]


def select(ids, globs):
    return [case_id for case_id in ids if any(fnmatch.fnmatchcase(case_id, glob) for glob in globs.split(","))]


def main():
    arguments = parse_arguments()
    cases = load_cases()
    ids = select(cases, arguments.cases)
    if not ids:
        print("autobahn: no case is selected", file=sys.stderr)
        return EXIT_ENVIRONMENT
    hands = [hand for hand in deal(ids, cases, arguments.jobs) if hand]
    print(f"autobahntestsuite {suite_version()}: {len(ids)} of {len(cases)} cases", flush=True)

    verdicts, failures = play(hands, arguments)
    # Behind a bad frame that comes at once a message need not be echoed any more: which of the two verdicts it is depends on
    # who was faster, so a testee that was held up gets another try, alone.
    late = report.may_be_late(report.load(RESULTS), report.lines_of(ids, verdicts))
    if late and not failures:
        print(f"once more: {' '.join(late)}", flush=True)
        some, failures = play([late], arguments)
        verdicts |= some
    # A committed case that the suite no longer has is one that did not run.
    gone = [case_id for case_id in report.load(RESULTS) if case_id not in cases]
    return conclude(arguments, ids + select(gone, arguments.cases), verdicts, failures)


def play(hands, arguments):
    """Plays each hand against a testee of its own; all verdicts, and what was wrong."""
    verdicts, failures = {}, []
    with contextlib.ExitStack() as stack:
        workers = []
        for hand in hands:
            deadline_s = arguments.deadline or 60 + SECONDS_PER_CASE * len(hand)
            workers.append(Worker(hand, arguments.command, deadline_s, arguments.stall))
            stack.callback(workers[-1].end)
        for worker in workers:
            some, failure = worker.result()
            verdicts |= some
            failures += [failure] if failure else []
    return verdicts, failures


def conclude(arguments, ids, verdicts, failures):
    expected = report.load(RESULTS)
    actual = report.lines_of(ids, verdicts)
    if arguments.out:
        report.save_details(arguments.out, verdicts)
    for failure in failures:
        print(f"autobahn: testee {failure}", file=sys.stderr)
    if arguments.update and not failures:
        expected |= actual
        report.save(RESULTS, expected)
        print(f"written to results.txt; not OK: {' '.join(report.not_ok(expected)) or 'none'}")
    failed = report.different(expected, actual)
    report.print_differences(failed, expected, actual, verdicts)
    print(f"{len(actual) - len(failed)} passed, {len(failed)} failed")
    if failures:
        return EXIT_TESTEE_FAILED
    return EXIT_DIFFERENT if failed else EXIT_AS_COMMITTED


if __name__ == "__main__":
    # On the way out the workers are ended, and they end their testees.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        sys.exit(main())
    except Exception:
        # Python's own status for this is 1, which says that verdicts differ.
        traceback.print_exc()
        sys.exit(EXIT_ENVIRONMENT)
