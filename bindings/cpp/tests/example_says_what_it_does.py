#!/usr/bin/env python3
"""An example prints what the server made happen, says what is wrong where something is, and ends with its status.

    example_says_what_it_does.py PROGRAM
"""

import os
import pathlib
import subprocess
import sys

SERVER = os.environ["WSSTREAM_TEST_URL"]
NOTHING_LISTENS = "ws://127.0.0.1:1/"
EXPECTED = {
    "cpp_echo": (
        f'url:      {SERVER}/echo\nmessage:  "hello"\nclosed:   code 1000, reason "bye"\n',
        "",
        1,
    ),
    "cpp_coroutines": ("echoed 10, failed 0\n", "echoed 0, failed 10\n", 10),
}
program = sys.argv[1]
said, said_of_failure, errors = EXPECTED[pathlib.Path(program).name]


def expect(url, status, output, error_lines):
    done = subprocess.run([program, url], capture_output=True, text=True, timeout=50)
    if (done.returncode, done.stdout, len(done.stderr.splitlines())) != (status, output, error_lines):
        sys.exit(f"{url}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stderr


expect(f"{SERVER}/echo", 0, said, 0)
for line in expect(NOTHING_LISTENS, 1, said_of_failure, errors).splitlines():
    if not line.startswith("opened: WebSocketError: "):
        sys.exit(line)
