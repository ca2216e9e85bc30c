#!/usr/bin/env python3
"""Compares the functions that the header declares with those that the test of bad arguments calls.

    every_function_has_its_bad_arguments.py wsstream.h arguments.c
"""

import pathlib
import re
import sys


def without_comments(path):
    text = pathlib.Path(path).read_text()
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


header, test = (without_comments(path) for path in sys.argv[1:3])
header = re.sub(r"^\s*#(?:.*\\\n)*.*$", " ", header, flags=re.MULTILINE)
declared = set(re.findall(r"\b(wsstream_\w+)\s*\(", header))
called = set(re.findall(r"\b(wsstream_\w+)\s*\(", test))
if not declared:
    sys.exit("no function was found in the header")
for name in sorted(declared - called):
    print(f"{name} is declared, but no bad argument is tried on it", file=sys.stderr)
for name in sorted(called - declared):
    print(f"{name} is called, but the header does not declare it", file=sys.stderr)
sys.exit(declared != called)
