"""Questions and orders to the test server, which are plain HTTP whatever the scheme of the test."""

import itertools
import os
import re
import urllib.request

_numbers = itertools.count()


def unique(name):
    """A name that no other test and no other run has."""
    return f"python-{name}-{os.getpid()}-{next(_numbers)}"


def ask(path):
    address = os.environ["WSSTREAM_TEST_WS_URL"].replace("ws:", "http:")
    with urllib.request.urlopen(address + path, timeout=30) as answer:
        return answer.read().decode()


def release(token):
    ask(f"/release?token={token}")


def counts(identifier):
    """The counters of a connection that is over."""
    line = next(line for line in ask(f"/record/{identifier}").splitlines() if line.startswith("counts:"))
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}
