"""What streams are opened with: keyword arguments become the library's options."""

from __future__ import annotations

import math
import os
from typing import Any, Iterable, Mapping, Optional, Tuple, Union

from ._constants import OPTIONS
from ._errors import ArgumentError, check
from ._native import ffi, lib

Text = Union[str, bytes, "os.PathLike[str]"]
Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]


class Aborter:
    """Gives up openings: an AbortController and its signal in one, shared by any number of streams."""

    def __init__(self) -> None:
        self._handle = ffi.gc(lib.wsstream_aborter_new(), lib.wsstream_aborter_free)

    def abort(self) -> None:
        """Gives up every opening that uses this aborter, and those that will. A stream that is open goes on.

        Any thread may call it; it never waits.
        """
        lib.wsstream_aborter_abort(self._handle)


def milliseconds(seconds: float) -> int:
    """A time of Python for the library; what is not nothing does not become nothing."""
    return math.ceil(seconds * 1000)


def as_bytes(text: Text) -> bytes:
    if isinstance(text, bytes):
        return text
    return os.fspath(text).encode()


def make_options(
    protocols: Iterable[str], headers: Headers, aborter: Optional[Aborter], given: Mapping[str, object]
) -> Any:
    """The library's options; raises what it says against one of them."""
    options = ffi.gc(lib.wsstream_options_new(), lib.wsstream_options_free)
    if isinstance(protocols, str):
        protocols = [protocols]
    for protocol in protocols:
        name = protocol.encode()
        check(lib.wsstream_options_add_protocol(options, name, len(name)), f"protocol {protocol!r}")
    for field, value in headers.items() if isinstance(headers, Mapping) else headers:
        name, content = field.encode(), value.encode()
        check(lib.wsstream_options_add_header(options, name, len(name), content, len(content)), f"header {field!r}")
    if aborter is not None:
        check(lib.wsstream_options_set_aborter(options, aborter._handle))
    for keyword, argument in given.items():
        _set(options, keyword, argument)
    return options


def _set(options: Any, keyword: str, argument: Any) -> None:
    if keyword not in OPTIONS:
        raise TypeError(f"there is no option {keyword!r}")
    number, sort = OPTIONS[keyword]
    if sort == "text":
        text = as_bytes(argument)
        check(lib.wsstream_options_set_text(options, number, text, len(text)), keyword)
        return
    value = milliseconds(argument) if sort == "seconds" else int(argument)
    if not -(2**63) <= value < 2**63:
        raise ArgumentError(f"{keyword}: {argument!r} is out of range")
    check(lib.wsstream_options_set_number(options, number, value), keyword)
