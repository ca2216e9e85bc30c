"""What both front ends offer alike: everything that never waits."""

from __future__ import annotations

from typing import Any, Generic, List, Optional, TypeVar

from ._constants import Status
from ._core import Core, Statistics, text_of
from ._errors import CloseInfo, check
from ._native import ffi, lib

CoreT = TypeVar("CoreT", bound=Core)


def _code_of(code: Optional[int]) -> int:
    no_code: int = lib.WSSTREAM_NO_CODE
    return no_code if code is None else code


class Half(Generic[CoreT]):
    """One half of a stream. It keeps the stream alive."""

    __slots__ = ("_core",)

    def __init__(self, core: CoreT) -> None:
        self._core = core


class BaseReadable(Half[CoreT]):
    """The half of a stream that messages come from."""

    __slots__ = ()

    def cancel(self, code: Optional[int] = None, reason: str = "") -> None:
        """Ends the readable side: what is unread is thrown away and the closing handshake starts. It never waits.

        A read that waits, and every later one, is done. A code or reason that `close` would refuse becomes an empty Close.
        """
        self._core.cancel(_code_of(code), reason)


class BaseWritable(Half[CoreT]):
    """The half of a stream that messages go to."""

    __slots__ = ()

    def flush(self) -> None:
        """Sends at once what was written with `more=True`. It never waits for the peer."""
        self._core.flush()

    def abort(self, code: Optional[int] = None, reason: str = "") -> None:
        """Ends the writable side: a write that waits takes nothing, and the closing handshake starts. It never waits.

        A code or reason that `close` would refuse becomes an empty Close.
        """
        self._core.abort(_code_of(code), reason)


class BaseStream(Generic[CoreT]):
    """What is known about a stream, and how it is closed and freed."""

    _core: CoreT

    @property
    def url(self) -> str:
        """The URL of the stream, as it was made canonical."""
        return self._core.url

    @property
    def protocol(self) -> str:
        """The sub-protocol that the server picked; "" until the stream is open and when there is none."""
        return text_of(lib.wsstream_protocol(self._core.handle))

    @property
    def extensions(self) -> str:
        """The extensions that were agreed on; "" until the stream is open and when there are none."""
        return text_of(lib.wsstream_extensions(self._core.handle))

    def response_headers(self, name: str) -> List[str]:
        """Every value of a header field in the HTTP response, also of a refused upgrade; none before the response."""
        values: List[str] = []
        field = name.encode()
        while value := lib.wsstream_response_header(self._core.handle, field, len(field), len(values)):
            values.append(text_of(value))
        return values

    @property
    def statistics(self) -> Statistics:
        """The counters of the stream as they are now; raises InvalidStateError when it was freed."""
        out = ffi.new("wsstream_statistics *")
        check(lib.wsstream_statistics_get(self._core.handle, out, ffi.sizeof("wsstream_statistics")))
        counters: Any = {name: getattr(out, name) for name in Statistics.__dataclass_fields__}
        return Statistics(**counters)

    @property
    def close_info(self) -> Optional[CloseInfo]:
        """How the stream ended; None before it has, and where it was freed before."""
        settled = self._core.settled()
        return settled[1] if settled else None

    def close(self, code: Optional[int] = None, reason: str = "") -> None:
        """Starts the closing handshake. It never waits: `closed` does.

        code: 1000, 3000 to 4999, or None for a Close without one (1000 where there is a reason).
        reason: at most 123 bytes of UTF-8.

        What was written before goes out before the Close. What was received before stays readable, what comes later is
        dropped: to have every answer, read it before. A stream may be closed again, which does nothing. While the stream is
        being opened, that is given up.

        Raises InvalidAccessError for the code and WebSocketSyntaxError for the reason; the stream then goes on.
        """
        self._core.close(_code_of(code), reason)

    def free(self) -> None:
        """Ends the stream for everybody without waiting, and gives up what it holds.

        An open stream sends a Close with 1001 if that needs no waiting; unread messages are lost and written data may be.
        Whoever waits in the stream gets InvalidStateError. Leaving `with` does this last; freeing again does nothing.
        """
        self._core.free()

    def __repr__(self) -> str:
        settled = self._core.settled()
        state = "freed" if self._core.is_freed() else "live"
        if settled:
            state = f"{Status(settled[0]).name} {settled[1].code}"
        return f"<{type(self).__module__}.{type(self).__name__} {self.url} {state}>"
