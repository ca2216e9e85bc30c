#!/usr/bin/env python3
"""The example prints what its first lines promise: url, protocol, message and how the stream closed."""

import os
import subprocess
import sys

url = os.environ["WSSTREAM_TEST_URL"] + "/echo"
expected = [
    f"url:      {url}",
    'protocol: ""',
    'message:  "hello"',
    'closed:   code 1000, reason "bye", clean',
]
done = subprocess.run([sys.argv[1], url], capture_output=True, text=True, timeout=20)
if done.returncode != 0 or done.stdout.splitlines() != expected or done.stderr:
    print(f"exit status {done.returncode}\n{done.stdout}{done.stderr}-- not what was expected:", file=sys.stderr)
    sys.exit("\n".join(expected))

# Where nothing listens it says which call failed and why, and fails.
failed = subprocess.run([sys.argv[1], "ws://127.0.0.1:1/"], capture_output=True, text=True, timeout=20)
if failed.returncode != 1 or failed.stdout or not failed.stderr.startswith("wait_opened: "):
    sys.exit(f"exit status {failed.returncode} where nothing listens\n{failed.stdout}{failed.stderr}")
