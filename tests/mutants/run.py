"""Runs the tests against each mutant of an instrumented tree: run.py TREE [--wss] [--above S] [--below S] [--only GLOB]

First every test runs alone with nothing switched on and leaves which functions it reaches and how long it takes; then each
mutant meets the tests that reach its function, a program at a time, until one fails. A failure counts if the test fails again
alone. Owns the choice and the verdicts, which go to TREE/verdicts.jsonl; a mutant that has a verdict there other than
"missed" is not run again.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time

FEATURES = "dump,fault-injection,count-locked"
FAILED = re.compile(r"^test (\S+) .*FAILED$", re.M)
# What runs for minutes, or is linked without the library.
C_LEFT_OUT = ("c.floods", "c.backpressure", "c.loading")


def programs(tree, models):
    tested = ["--features", FEATURES, "--package", "wsstream", "--package", "wsstream-test-server"]
    chosen = ["--package", "wsstream-models"] if models else tested
    command = ["cargo", "test", "--no-run", "--quiet", "--message-format=json", *chosen]
    output = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in output.splitlines():
        entry = json.loads(line)
        if entry.get("executable") and entry["profile"]["test"] and "/server/" not in entry["manifest_path"]:
            is_library = "cdylib" in entry["target"]["kind"]
            found["lib" if is_library else entry["target"]["name"]] = entry["executable"]
    return found


def c_programs(folder):
    return {path.name: str(path) for path in sorted(folder.glob("c.*")) if path.name not in C_LEFT_OUT}


def command_of(arguments, found, name, cases, *options):
    if arguments.c:
        return ["scripts/with-server", "--scheme", "wss" if arguments.wss else "ws", "--deadline", "120", found[name]]
    return [found[name], "--exact", *options, *cases]


def environment(arguments, mutant=0, reached=None):
    variables = dict(os.environ, WSSTREAM_MUTANT=str(mutant), RUST_BACKTRACE="0")
    variables |= {"WSSTREAM_TEST_SCHEME": "wss"} if arguments.wss else {}
    variables |= {"WSSTREAM_REACHED": reached} if reached else {}
    variables |= {"LD_LIBRARY_PATH": arguments.library} if arguments.library else {}
    variables |= {"WSSTREAM_MODEL_SECONDS": "1"} if arguments.models else {}
    return variables


def execute(command, variables, timeout, tree):
    """Exit status (None: killed when the time was over) and output; ended at the first test that fails."""
    process = subprocess.Popen(
        command,
        env=variables,
        cwd=tree,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    is_over = threading.Event()

    def end():
        is_over.set()
        kill(process)

    timer = threading.Timer(timeout, end)
    timer.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if FAILED.search(line):
                break
        else:
            process.wait()
            return (None if is_over.is_set() else process.returncode), "".join(lines)
        return 101, "".join(lines)
    finally:
        timer.cancel()
        kill(process)
        process.wait()


def kill(process):
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass


def tests_of(arguments, found):
    """Program and name of every test; a C program is one test without a name."""
    if arguments.c:
        return [(name, "") for name in found]
    tests = []
    for name, program in found.items():
        command = [program, "--list", "--format", "terse"]
        lines = subprocess.run(command, cwd=arguments.tree, capture_output=True, text=True, check=True).stdout.splitlines()
        tests += [(name, line.removesuffix(": test")) for line in lines if line.endswith(": test")]
    return tests


def measure(arguments, found):
    """For each test: functions reached, seconds."""
    kinds = ["c"] * bool(arguments.c) + ["models"] * arguments.models + ["wss"] * arguments.wss
    path = arguments.tree / "-".join(["baseline", *kinds])
    if path.exists():
        return json.loads(path.read_text())

    def one(test):
        name, case = test
        with tempfile.NamedTemporaryFile("r", dir="/tmp") as file:
            begin = time.monotonic()
            variables = environment(arguments, reached=file.name)
            status, output = execute(command_of(arguments, found, name, [case]), variables, 240, arguments.tree)
            seconds = time.monotonic() - begin
            reached = sorted(set(map(int, file.read().split())))
        if status != 0:
            print(f"without a mutant {name} {case} ends with {status}", output[-600:], flush=True)
        return {"program": name, "test": case, "seconds": seconds, "reached": reached, "status": status}

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        baseline = list(pool.map(one, tests_of(arguments, found)))
    path.write_text(json.dumps(baseline))
    return baseline


def within(budget, tests):
    """The first of them, as long as the budget lasts."""
    chosen = []
    for test in tests:
        budget -= test["seconds"]
        if budget < 0:
            break
        chosen.append(test)
    return chosen


def batches(tests):
    """Program after program, the quickest first, and of a large one its quickest tests first."""
    groups = collections.defaultdict(list)
    for test in sorted(tests, key=lambda test: test["seconds"]):
        groups[test["program"]].append(test)
    for name, group in sorted(groups.items(), key=lambda item: (item[0] != "lib", sum(test["seconds"] for test in item[1]))):
        first = 8 if name != "lib" and len(group) > 12 else len(group)
        yield from ((name, batch) for batch in (group[:first], group[first:]) if batch)


def judge(arguments, found, tests, number):
    """caught, timed out or missed, and by what."""
    variables, unsure = environment(arguments, number), []
    for name, batch in batches(tests):
        cases, total = [test["test"] for test in batch], sum(test["seconds"] for test in batch)
        command = command_of(arguments, found, name, cases, "--test-threads", "6")
        timeout = 8 + total + 4 * max(test["seconds"] for test in batch)
        status, output = execute(command, variables, timeout, arguments.tree)
        if status is None:
            return "timed out", f"{name} {cases[0]} and {len(cases) - 1} more"
        failed = FAILED.findall(output)
        if status != 0 and not failed and not arguments.c:
            return "caught", f"{name}: it ends with {status}"
        if status != 0:
            case = failed[0] if failed else ""
            again, _ = execute(command_of(arguments, found, name, [case]), variables, 30 + 4 * total, arguments.tree)
            if again != 0:
                return "timed out" if again is None else "caught", f"{name} {case}"
            unsure.append(f"{name} {case}")
    return "missed", "failed once: " + ", ".join(unsure) if unsure else ""


def verdicts_of(tree):
    """What is known of each mutant by its number: whoever noticed it first counts."""
    path, known = tree / "verdicts.jsonl", {}
    for line in path.read_text().splitlines() if path.exists() else []:
        entry = json.loads(line)
        if known.get(entry["number"], "missed") == "missed":
            known[entry["number"]] = entry["verdict"]
    return known


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--wss", action="store_true", help="the tests over wss")
    parser.add_argument("--above", type=float, default=0, metavar="S", help="only tests that take so long, and mutants missed so far")
    parser.add_argument("--below", type=float, default=0.5, metavar="S", help="only tests that take less")
    parser.add_argument("--only", default="*", help="files, such as 'src/proto/*'")
    parser.add_argument("--among", type=pathlib.Path, metavar="FILE", help="only the mutants whose numbers it begins its lines with")
    parser.add_argument("--c", type=pathlib.Path, metavar="DIR", help="the C programs in DIR instead, which scripts/build-c has made")
    parser.add_argument("--models", action="store_true", help="the claims of models instead, which compile both words")
    parser.add_argument("--library", metavar="DIR", help="what the C programs load their library from")
    parser.add_argument("--budget", type=float, default=1e9, metavar="S", help="only the tests of the file's name and the quickest, so long together")
    parser.add_argument("--jobs", type=int, default=3)
    arguments = parser.parse_args()
    arguments.tree = arguments.tree.resolve()
    return arguments


def main():
    arguments = parse_arguments()
    found = c_programs(arguments.c.resolve()) if arguments.c else programs(arguments.tree, arguments.models)
    baseline = [test for test in measure(arguments, found) if test["status"] == 0]
    print(f"{len(baseline)} tests of {len(found)} programs", flush=True)
    baseline = [test for test in baseline if arguments.above <= test["seconds"] < arguments.below]
    known = verdicts_of(arguments.tree)
    among = {int(line.split()[0]) for line in arguments.among.read_text().splitlines()} if arguments.among else None
    is_later = arguments.above > 0 or arguments.wss or arguments.c or arguments.models
    wanted = [
        mutant
        for mutant in json.loads((arguments.tree / "mutants.json").read_text())
        if mutant["state"] == "switched"
        and fnmatch.fnmatch(mutant["file"], arguments.only)
        and (among is None or mutant["number"] in among)
        and known.get(mutant["number"]) == ("missed" if is_later else None)
    ]
    print(f"{len(wanted)} mutants to run", flush=True)

    def one(mutant):
        stem = pathlib.Path(mutant["file"]).stem
        tests = [test for test in baseline if mutant["function"] in test["reached"]]
        tests.sort(key=lambda test: (stem not in test["program"] + test["test"], test["seconds"]))
        verdict, by = judge(arguments, found, within(arguments.budget, tests), mutant["number"])
        return {"number": mutant["number"], "name": mutant["name"], "verdict": verdict, "by": by}

    counts = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool, (arguments.tree / "verdicts.jsonl").open("a") as file:
        for done in concurrent.futures.as_completed([pool.submit(one, mutant) for mutant in wanted]):
            entry = done.result()
            counts[entry["verdict"]] += 1
            file.write(json.dumps(entry) + "\n")
            file.flush()
            if sum(counts.values()) % 50 == 0:
                print(dict(counts), flush=True)
    print(dict(counts), flush=True)


if __name__ == "__main__":
    main()
