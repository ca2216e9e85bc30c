#!/usr/bin/env python3
"""Compares the functions of the header that have a stream and answer a status with those that the test of fork says
are FORKED.

    every_call_on_a_stream_is_tried_after_a_fork.py wsstream.h fork.c
"""

import pathlib
import re
import sys

header, test = (pathlib.Path(path).read_text() for path in sys.argv[1:3])
declared = set(re.findall(r"^wsstream_status (wsstream_\w+)\(wsstream \*", header, flags=re.MULTILINE))
tried = set(re.findall(r"\bFORKED\((wsstream_\w+)\(", test))
if not declared:
    sys.exit("no function was found in the header")
for name in sorted(declared ^ tried):
    print(f"{name} is not both: declared and tried", file=sys.stderr)
sys.exit(declared != tried)
