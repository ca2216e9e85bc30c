"""The blocking twin: the same shape without `await`, on any thread, with timeouts in seconds.

What is awaited in asyncio is called here. `timeout` is in seconds, None waits for ever, 0 never waits; when it is over the call
raises TimeoutError, has taken nothing, and the stream goes on. Ctrl-C, or a signal handler that raises, interrupts a call that
waits in the main thread within 50 ms; it then has taken nothing either. While a call waits other threads run.

The halves are independent: one thread may read while another writes. Each half takes one call at a time, a second one raises
BusyError or waits for the first. Everything else may be called at any time from any thread.
"""

from __future__ import annotations

import select
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterable, List, Optional, Type, TypeVar, Union

from ._base import BaseReadable, BaseStream, BaseWritable
from ._constants import Status
from ._core import (
    CLOSED, OK, OPENED, READABLE, READABLE_SOME, WRITABLE, Buffer, Chunk, Core, Message, Opened, _End, flags_of, flags_of_whole,
    outgoing,
)
from ._errors import BusyError, CloseInfo
from ._native import ffi, lib
from ._options import Aborter, Headers, milliseconds

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._constants import Options

__all__ = ["Readable", "WebSocketStream", "Writable"]

T = TypeVar("T")

# A call of the library is not interrupted by signals: the main thread waits inside one no longer than this, then on the
# stream's descriptor. What comes sooner is had by one call; what does not costs no further wake-up.
SLICE_MS = 50
FOREVER_MS = -1
# What the system takes as the time of one wait; a longer one is waited for again.
LONGEST_MS = 2**31 - 1


class BlockingCore(Core):
    """A stream, and how a thread waits for it."""

    def __init__(self, *arguments: Any) -> None:
        self.reading = threading.Lock()
        self.watched = 0
        super().__init__(*arguments)

    def until(self, attempt: Callable[[int], Optional[T]], event: int, timeout: Optional[float]) -> T:
        """Repeats an attempt, which may take the milliseconds that it is given, until it has an answer."""
        # For the library a negative time is for ever; here it is one that is over, as of a deadline that has passed.
        limit = None if timeout is None else max(milliseconds(timeout), 0)
        deadline = None if limit is None else time.monotonic() + limit / 1000
        answer = attempt(SLICE_MS if limit is None else min(SLICE_MS, limit))
        while answer is None:
            ms = FOREVER_MS if deadline is None else min(milliseconds(deadline - time.monotonic()), LONGEST_MS)
            if deadline is not None and ms <= 0:
                raise TimeoutError("the time is over")
            if threading.current_thread() is threading.main_thread():
                self._wait_interruptibly(event, ms)
                ms = 0
            answer = attempt(ms)
        return answer

    def _wait_interruptibly(self, event: int, ms: int) -> None:
        """As only the main thread has to, so that the descriptor has one user; and the signal handlers that run in its wait."""
        out = ffi.new("int *")
        self._raise(lib.wsstream_fd(self.handle, out))
        outer, self.watched = self.watched, event
        try:
            self._raise(lib.wsstream_fd_watch(self.handle, event))
            poll = select.poll()
            poll.register(out[0], select.POLLIN)
            poll.poll(ms)
        finally:
            # Of the wait that a signal handler was called in, which goes on; else nothing, as calls cost more while something
            # is watched. The stream may have been freed meanwhile, which the next call tells.
            self.watched = outer
            lib.wsstream_fd_watch(self.handle, outer)

    def until_held(self, attempt: Callable[[], Optional[T]], event: int, timeout: Optional[float]) -> T:
        """As `until`, for an attempt that does not wait: what waits takes nothing, so an interrupt cannot lose it."""
        answer = attempt()
        if answer is not None:
            return answer
        return self.until(lambda ms: attempt() if self._holds(event, ms) else None, event, timeout)

    def _holds(self, event: int, ms: int) -> bool:
        out = ffi.new("uint32_t *")
        status: int = lib.wsstream_poll(self.handle, event, ms, out)
        self._raise(status)
        return status == OK

    def write(self, kind: int, pointer: Any, size: int, flags: int, timeout: Optional[float]) -> None:
        self.until_held(lambda: self.put(0, kind, pointer, size, flags), WRITABLE, timeout)

    def alone(self) -> threading.Lock:
        """The lock of the binding's part of the read half: a batch belongs to one thread."""
        if self.reading.locked():
            raise BusyError("another thread is reading", Status.ERR_BUSY)
        return self.reading

    def read(self, timeout: Optional[float]) -> Optional[Message]:
        with self.alone():
            message: Union[Message, _End] = self.until(self.take, READABLE, timeout)  # type: ignore[assignment]
        return None if isinstance(message, _End) else message


class Readable(BaseReadable[BlockingCore]):
    """The half of a stream that messages come from: `for message in ws.readable`, or `read`.

    Up to 256 messages are taken from the library together, and the next only when all of them were read; behind them the peer
    has to wait.
    """

    __slots__ = ()

    def read(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next message, `str` for text and `bytes` for binary; None when the readable side has ended.

        Raises TimeoutError, and as `wsstream.Readable.read` does.
        """
        try:
            return self._core.queue.popleft()
        except IndexError:
            return self._core.read(timeout)

    def __iter__(self) -> Readable:
        return self

    def __next__(self) -> Message:
        message = self.read()
        if message is None:
            raise StopIteration
        return message

    def read_many(self, count_max: int = 256, timeout: Optional[float] = None) -> List[Message]:
        """Waits for one message and gives those that are here already, at most `count_max`; an empty list is the end."""
        if count_max < 1:
            raise ValueError("count_max is less than 1")
        with self._core.alone():
            return self._core.until(lambda ms: self._core.take_many(ms, count_max), READABLE, timeout)

    def read_some(self, size_max: int, timeout: Optional[float] = None) -> Optional[Chunk]:
        """The next bytes of the current message, at most `size_max`; None when the readable side has ended.

        For messages that are too large to be held whole. Until a chunk has `fin`, `read` raises InvalidStateError.
        """
        if size_max < 1:
            raise ValueError("size_max is less than 1")
        with self._core.alone():
            chunk: Union[Chunk, _End] = self._core.until_held(  # type: ignore[assignment]
                lambda: self._core.take_some(0, size_max), READABLE_SOME, timeout
            )
        return None if isinstance(chunk, _End) else chunk


class Writable(BaseWritable[BlockingCore]):
    """The half of a stream that messages go to. A write that has returned was taken, and the library sends it."""

    __slots__ = ()

    def write(
        self,
        data: Union[str, Buffer],
        timeout: Optional[float] = None,
        *,
        text: bool = False,
        more: bool = False,
        compress: bool = True,
    ) -> None:
        """Writes a message, as `wsstream.Writable.write` does; TimeoutError: it was not taken."""
        kind, pointer, size = outgoing(data, text)
        self._core.write(kind, pointer, size, flags_of_whole(more, compress), timeout)

    def write_some(
        self,
        data: Union[str, Buffer],
        timeout: Optional[float] = None,
        *,
        fin: bool,
        text: bool = False,
        more: bool = False,
        compress: bool = True,
    ) -> None:
        """Writes a part of a message, as `wsstream.Writable.write_some` does; TimeoutError: it was not taken."""
        kind, pointer, size = outgoing(data, text)
        self._core.write(kind, pointer, size, flags_of(fin, more, compress), timeout)

    def close(self, timeout: Optional[float] = None) -> None:
        """Ends the writable side behind what was written, with a Close without a code, and waits for the end.

        Raises InvalidStateError when the half has ended before, and as `closed` does. When the time is over it has closed all
        the same.
        """
        self._core.begin_writable_close()
        self._core.until(self._core.closed, CLOSED, timeout)


class WebSocketStream(BaseStream[BlockingCore]):
    """A WebSocket connection of a client, for blocking code.

        with WebSocketStream("wss://example.org/chat") as ws:
            ws.writable.write("hello")
            for message in ws.readable:
                print(message)

    Arguments and errors are those of `wsstream.WebSocketStream`, and so is what `with` does.
    """

    def __init__(
        self,
        url: str,
        *,
        protocols: Iterable[str] = (),
        headers: Headers = (),
        aborter: Optional[Aborter] = None,
        **options: Unpack[Options],
    ) -> None:
        self._core = BlockingCore(url, protocols, headers, aborter, options)
        #: The half that messages come from.
        self.readable = Readable(self._core)
        #: The half that messages go to.
        self.writable = Writable(self._core)

    def opened(self, timeout: Optional[float] = None) -> Opened:
        """Waits until the stream is open. Raises WebSocketError where it could not be opened, or AbortError."""
        return self._core.until(self._core.opened, OPENED, timeout)

    def closed(self, timeout: Optional[float] = None) -> CloseInfo:
        """Waits until the stream has ended, and says how, where that was clean.

        Raises WebSocketError, with the same in `info`, where it was not, and AbortError. It reads no messages: before
        a `close` of this side, a Close of the peer behind more unread bytes than `read_buffer_size` waits for a reader.
        """
        return self._core.until(self._core.closed, CLOSED, timeout)

    def __enter__(self) -> WebSocketStream:
        try:
            self.opened()
        except BaseException:
            self.free()
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            # An end that has come before was told to whoever read or wrote.
            if kind is None and not self._core.is_freed() and self._core.settled() is None:
                self.close(1000)
                self.closed()
        finally:
            self.free()
