#!/usr/bin/env python3
"""An example prints what the server made happen, says what is wrong where something is, and ends with its status.

    example_says_what_it_does.py PROGRAM

The program's name says which example it is.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

SERVER = os.environ["WSSTREAM_TEST_URL"]
NOTHING_LISTENS = "ws://127.0.0.1:1/"
TIMEOUT_S = 50
program = sys.argv[1]


def run(*arguments, status=0):
    """What the example prints to its two outputs."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != status:
        sys.exit(f"{arguments}: exit status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def expect(expected, actual):
    if actual != expected:
        sys.exit(f"{actual}\n-- not what was expected:\n{expected}")


def echo():
    expected = f'url:      {SERVER}/echo\nprotocol: ""\nmessage:  "hello"\nclosed:   code 1000, reason "bye", clean\n'
    expect((expected, ""), run(f"{SERVER}/echo"))
    said, error = run(NOTHING_LISTENS, status=1)
    expect(("", "wait_opened: "), (said, error[:13]))


def close_reason():
    """One end by this side, one by the server, one without a Close, one that never began."""
    names = ["status", "clean", "code", "reason", "sent_code", "initiator", "phase", "cause"]
    ends = {
        f"{SERVER}/echo": ["WSSTREAM_OK", "yes", "4000", '"that is all"', "4000", "local", "closing", "none"],
        f"{SERVER}/close?code=4001&reason=enough":
            ["WSSTREAM_OK", "yes", "4001", '"enough"', "4001", "remote", "closing", "none"],
        f"{SERVER}/abrupt": ["WSSTREAM_ERR_CONNECTION", "no", "1006", '""', "0", "transport", "open", "truncated"],
        NOTHING_LISTENS: ["WSSTREAM_ERR_CONNECTION", "no", "1006", '""', "0", "none", "connect", "system"],
    }
    said, error = run(*ends)
    said, details = re.subn(r"  detail    \w.*\.\n", "", said)
    expected = ""
    for url, words in ends.items():
        expected += f"{url}\n" + "".join(f"  {name:9} {word}\n" for name, word in zip(names, words))
    expect((expected, len(ends), ""), (said, details, error))
    said, error = run("no URL", status=1)
    expect(("no URL\n", "no URL: "), (said, error[:8]))


def poll_closed():
    """The server ends it, or this side does after 25 slices; between two slices there are 10 ms for others."""
    form = (r"slices:   (\d+), reports left out: (\d+), last prime: (\d+)\n"
            r'closed:   (\w+)\n          code (\d+), reason "(.*)"\n')
    cases = [
        ("/close?code=4001&reason=enough&after=3", 0, ("WSSTREAM_OK", "4001", "enough"), 3),
        ("/close_reply?delay_ms=300", 0, ("WSSTREAM_OK", "1000", "the work is done"), 25),
        ("/abrupt", 1, ("WSSTREAM_ERR_CONNECTION", "1006", ""), 0),
    ]
    for path, status, end, slices_min in cases:
        begin = time.monotonic()
        said, error = run(SERVER + path, status=status)
        slices_max = (time.monotonic() - begin) / 0.010
        found = re.fullmatch(form, said)
        if not found or found.group(4, 5, 6) != end or error:
            sys.exit(f"{path}: {said}{error}")
        if not slices_min <= int(found[1]) <= slices_max:
            sys.exit(f"{path}: {found[1]} slices, not {slices_min} to {slices_max}")
    run("no URL", status=1)


def on_closed():
    cases = [
        ("/echo", 0, 'WSSTREAM_OK, code 1000, reason "time is up"'),
        ("/close?code=4001&reason=enough", 0, 'WSSTREAM_OK, code 4001, reason "enough"'),
        ("/abrupt", 1, 'WSSTREAM_ERR_CONNECTION, code 1006, reason ""'),
    ]
    for path, status, end in cases:
        expect((f"on_closed: {end}\n", ""), run(SERVER + path, status=status))
    run("no URL", status=1)


def event_loop():
    everything = "opened 100, written 100, echoed 100, closed cleanly 100\n"
    expect((everything, ""), run(f"{SERVER}/echo"))
    said, error = run(f"{SERVER}/abrupt?after=1", status=1)
    expect(("opened 100, written 100, echoed 0, closed cleanly 0\n", 100), (said, len(error.splitlines())))
    said, error = run(NOTHING_LISTENS, status=1)
    expect(("opened 0, written 0, echoed 0, closed cleanly 0\n", 100), (said, len(error.splitlines())))


def library_loop():
    """A hundred streams with twenty messages each, in the loop of a library."""
    expect(("written 2000, echoed 2000, closed cleanly 100\n", ""), run(f"{SERVER}/echo"))
    # More than the system takes at once, and no answer that could be taken for room: the server closes behind the last.
    silent = f"{SERVER}/close?code=1000&after=600&receive_buffer=65536"
    expect(("written 600, echoed 0, closed cleanly 1\n", ""), run(silent, "1", "600"))
    for url in (f"{SERVER}/abrupt?after=1", NOTHING_LISTENS):
        said, error = run(url, status=1)
        if not re.fullmatch(r"written \d+, echoed 0, closed cleanly 0\n", said) or len(error.splitlines()) != 100:
            sys.exit(f"{url}: {said}{error}")
    run("no URL", status=1)


def talk(path, lines, ends_input):
    """Types each line when the one before has come back; answers what else was printed."""
    chat = subprocess.Popen([program, SERVER + path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for line in lines:
        chat.stdin.write(f"{line}\n".encode())
        chat.stdin.flush()
        expect(f"< {line}\n", chat.stdout.readline().decode())
    if ends_input:
        chat.stdin.close()
    expect(0, chat.wait(TIMEOUT_S))
    return chat.stdout.read().decode()


def chat():
    # A line that is longer than what is read at once, and split inside a character.
    lines = ["hello", "", "a" * 4095 + "\u00e9" + "b" * 5000, "\U0001f600"]
    expect('closed: code 1000, reason "bye"\n', talk("/echo", lines, True))
    expect('closed: code 4001, reason "enough"\n',
           talk("/close?code=4001&reason=enough&after=2&echo=1", ["a", "b"], False))
    run("no URL", status=1)


examples = {check.__name__: check for check in (echo, close_reason, poll_closed, on_closed, event_loop, chat)}
examples["libuv"] = examples["glib"] = library_loop
examples[pathlib.Path(program).name]()
