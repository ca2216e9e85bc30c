"""Runs the Autobahn|Testsuite against one client and compares the verdicts with the committed ones.

Owns the command line and the exit status; run.sh starts it in the environment it needs.
"""

import argparse
import fnmatch
import importlib.util
import os
import pathlib
import sys
import traceback

if not importlib.util.find_spec("lib2to3"):
    print("autobahn: the suite is Python 2; reading it needs Python 3.11 or 3.12 with lib2to3", file=sys.stderr)
    sys.exit(2)

from twisted.internet import reactor
from twisted.python import log

import report
import speed
from cases import load_cases, suite_version
from server import FuzzingServer
from testee import Testee

RESULTS = pathlib.Path(__file__).parent.parent / "results.txt"
# Everything but permessage-deflate (12 and 13).
DEFAULT_CASES = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*"
# Far above what a case takes on a slow machine under a sanitizer.
SECONDS_PER_CASE = 6

EXIT_AS_COMMITTED, EXIT_DIFFERENT, EXIT_ENVIRONMENT, EXIT_TESTEE_FAILED = range(4)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh",
        usage="%(prog)s TESTEE [OPTION...] [-- ARGUMENT...]",
        description="Runs the Autobahn|Testsuite against TESTEE, which gets ARGUMENT... and the server's URL.",
        epilog="Exit status: 0 as committed, 1 different, 2 usage or environment, 3 the testee failed or was killed.",
    )
    parser.add_argument("testee", metavar="TESTEE", help="the client under test")
    parser.add_argument("--cases", default=DEFAULT_CASES, metavar="GLOBS", help=f"default {DEFAULT_CASES}; '*' is all")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="writes the verdicts in full, as JSON")
    parser.add_argument("--update", action="store_true", help="writes results.txt instead of comparing")
    parser.add_argument("--deadline", type=float, metavar="S", help=f"whole run; default {SECONDS_PER_CASE} s per case")
    parser.add_argument("--stall", type=float, default=60, metavar="S", help="silence of the testee; default 60 s")
    own, testees = split_at(sys.argv[1:], "--")
    arguments = parser.parse_args(own)
    if arguments.out and not arguments.out.parent.is_dir():
        parser.error(f"no folder {arguments.out.parent}")
    # A file of the current folder needs no ./ before it.
    is_file = pathlib.Path(arguments.testee).is_file()
    arguments.command = [os.path.abspath(arguments.testee) if is_file else arguments.testee, *testees]
    return arguments


def split_at(words, separator):
    index = words.index(separator) if separator in words else len(words)
    return words[:index], words[index + 1 :]


def select(cases, globs):
    return {
        case_id: case
        for case_id, case in cases.items()
        if any(fnmatch.fnmatchcase(case_id, glob) for glob in globs.split(","))
    }


def print_error(event):
    if event["isError"]:
        print("autobahn: error in the server:", log.textFromEventDict(event), file=sys.stderr, flush=True)


def main():
    arguments = parse_arguments()
    cases = select(load_cases(), arguments.cases)
    if not cases:
        print(f"autobahn: no case matches {arguments.cases}", file=sys.stderr)
        return EXIT_ENVIRONMENT
    log.addObserver(print_error)
    speed.install()
    server = FuzzingServer(cases)
    port = reactor.listenTCP(0, server, interface="127.0.0.1").getHost().port
    print(f"autobahntestsuite {suite_version()}: {len(cases)} cases on port {port}", flush=True)

    command = [*arguments.command, f"ws://127.0.0.1:{port}"]
    deadline_s = arguments.deadline or 60 + SECONDS_PER_CASE * len(cases)
    failure = Testee(command, server, deadline_s, arguments.stall).run()
    return conclude(arguments, server, failure)


def conclude(arguments, server, failure):
    verdicts = server.verdicts
    expected = report.load(RESULTS)
    # A committed case that the suite no longer has is one that did not run.
    actual = report.lines_of(server.cases | select(expected, arguments.cases), verdicts)
    if arguments.out:
        report.save_details(arguments.out, verdicts)
    if failure:
        print(f"autobahn: testee {failure}", file=sys.stderr)
    elif arguments.update:
        expected |= actual
        report.save(RESULTS, expected)
        print(f"written to results.txt; not OK: {' '.join(report.not_ok(expected)) or 'none'}")
    failed = report.different(expected, actual)
    report.print_differences(failed, expected, actual, verdicts)
    print(f"{len(actual) - len(failed)} passed, {len(failed)} failed")
    if failure:
        return EXIT_TESTEE_FAILED
    return EXIT_DIFFERENT if failed else EXIT_AS_COMMITTED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:
        # Python's own status for this is 1, which says that verdicts differ.
        traceback.print_exc()
        sys.exit(EXIT_ENVIRONMENT)
