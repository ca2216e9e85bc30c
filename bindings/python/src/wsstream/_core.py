"""What the asyncio and the blocking front end share: every call of the library, and what came by it.

A method that may find nothing yet takes the milliseconds that the library may wait, and answers None for "not yet". Waiting for
the event that it stands for is the front ends' business, as are loops, threads and signals.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any, Deque, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from ._constants import Event, Flag, MessageType, Status
from ._errors import CloseInfo, InvalidStateError, WebSocketError, check, close_info, ends_stream, error_of
from ._native import ffi, lib
from ._options import Aborter, Headers, make_options

Message = Union[str, bytes]
Buffer = Union[bytes, bytearray, memoryview]

# Plain numbers, which compare faster than members of an enumeration.
OK, DONE, AGAIN, QUEUED = map(int, (Status.OK, Status.DONE, Status.AGAIN, Status.QUEUED))
TEXT, BINARY = map(int, (MessageType.TEXT, MessageType.BINARY))
FIN, MORE, NO_COMPRESS = map(int, (Flag.FIN, Flag.MORE, Flag.NO_COMPRESS))
# In place of flags: a message that is written by the call for whole ones.
WHOLE = -1
OPENED, READABLE, WRITABLE, CLOSED, READABLE_SOME = map(
    int, (Event.OPENED, Event.READABLE, Event.WRITABLE, Event.CLOSED, Event.READABLE_SOME)
)


class Chunk(NamedTuple):
    """A part of a message, as `read_some` gives it."""

    data: bytes
    #: Whether the message is text; a part of it may begin or end inside a character.
    is_text: bool
    #: Whether these are the last bytes of the message.
    fin: bool


class Opened(NamedTuple):
    """What was agreed on in the opening handshake."""

    #: The sub-protocol that the server picked, "" for none.
    protocol: str
    #: The extensions, as in the response.
    extensions: str


@dataclass(frozen=True)
class Statistics:
    """What a stream has done so far, by the library's count: messages that it has handed over in a batch are no more unread."""

    messages_received: int
    messages_sent: int
    payload_received: int
    payload_sent: int
    wire_received: int
    wire_sent: int
    unread_messages: int
    unread: int
    unsent: int
    pings_received: int
    pings_sent: int
    pongs_received: int
    #: Microseconds that the last pong took; 0 before the first.
    round_trip_us: int


class _End:
    """The readable side has ended."""


END = _End()


class _Queue(Deque[Message]):
    """Messages of a batch that nobody has asked for yet."""

    serial = 0


# Batches are large: they are lent to a stream for the time of a call.
_batches: List[Any] = []


def _borrow_batch() -> Any:
    try:
        return _batches.pop()
    except IndexError:
        return ffi.gc(ffi.new("wsstream_batch *"), lib.wsstream_batch_release)


def _unpack(batch: Any) -> _Queue:
    """Makes Python's objects of a batch, which stays as it is."""
    queue = _Queue()
    packed = batch.packed
    if packed == 1:
        # As in a conversation, which has no use for lists.
        data = ffi.buffer(batch.bytes, batch.ends[0])[:]
        queue.append(data.decode() if batch.types_of_all == TEXT else data)
    elif packed:
        ends = ffi.unpack(batch.ends, packed)
        data = ffi.buffer(batch.bytes, ends[-1])[:]
        bounds = zip([0, *ends], ends)
        if batch.types_of_all == BINARY:
            queue.extend([data[start:end] for start, end in bounds])
        elif batch.types_of_all == TEXT and data.isascii():
            text = data.decode()
            queue.extend([text[start:end] for start, end in bounds])
        else:
            types = ffi.unpack(batch.types, packed)
            parts = [(data[start:end], kind) for (start, end), kind in zip(bounds, types)]
            queue.extend([part.decode() if kind == TEXT else part for part, kind in parts])
    for index in range(batch.whole):
        message = batch.messages[index]
        payload = ffi.buffer(message.data, message.size)
        queue.append(str(payload, "utf-8") if message.type == TEXT else payload[:])
    queue.serial = batch.serial
    return queue


class Core:
    """A stream of the library, and the messages that were taken from it together."""

    _owned: Any = None

    def __init__(
        self, url: str, protocols: Iterable[str], headers: Headers, aborter: Optional[Aborter], given: Mapping[str, object]
    ) -> None:
        options = make_options(protocols, headers, aborter, given)
        name, out = url.encode(), ffi.new("wsstream **")
        check(lib.wsstream_open(name, len(name), options, out), f"cannot open {url!r}")
        self._owned = ffi.gc(out[0], lib.wsstream_free)
        # Calls may begin while another thread frees the stream.
        self.handle = ffi.gc(lib.wsstream_ref(out[0]), lib.wsstream_unref)
        self.queue = _Queue()
        self._batch: Any = None
        self._parted: Optional[Tuple[memoryview, bool]] = None
        self._behind_parted = self.queue
        # Nobody reads any more: what a read in another thread still brings is thrown away.
        self._is_unread = False
        self._settled: Optional[Tuple[int, CloseInfo]] = None
        self._process = os.getpid()

    def __del__(self) -> None:
        if self._owned is None:
            return
        try:
            if not self.is_of_parent() and self.settled() is None:
                warnings.warn(f"unclosed WebSocketStream {self.url!r}", ResourceWarning, source=self)
        finally:
            # A warning may be an error.
            self.free()

    @property
    def url(self) -> str:
        return text_of(lib.wsstream_url(self.handle))

    def is_of_parent(self) -> bool:
        """Whether this process was forked from the one that opened the stream."""
        return os.getpid() != self._process

    def is_freed(self) -> bool:
        return self._owned is None

    def free(self) -> None:
        self.settled()
        owned, self._owned = self._owned, None
        self._throw_away()
        if owned is not None:
            # Once, whoever else has come here at the same time.
            ffi.release(owned)

    def fail(self, status: int) -> WebSocketError:
        """The exception for what a call on the stream has answered."""
        settled = self.settled() if ends_stream(status) else None
        return error_of(status, settled[1] if settled else None)

    # ---- Reading

    def fill(self, ms: int) -> int:
        """Gets the next messages into the empty queue, and answers the library's status.

        While the interpreter lets other threads run, as every call of the library does, one of them may take from the queue or
        throw it away: with OK it may be empty again.
        An exception out of a signal handler may come between any two lines. Then what was read stays in the batch, which the
        next call finds: the queue's serial is behind the batch's until the queue is made of it.
        """
        if self.queue:
            return OK
        self.refuse_inside_parts()
        batch = self._batch
        if batch is None:
            batch = _borrow_batch()
            self.queue.serial = batch.serial
            self._batch = batch
        if not self._is_left_over(batch):
            status: int = lib.wsstream_batch_read(self.handle, ms, batch)
            if status != OK:
                self._give_back(batch)
                return status
        self.queue = _unpack(batch)
        if batch.whole:
            lib.wsstream_batch_release(batch)
        self._give_back(batch)
        if self._is_unread:
            self._throw_away()
        return OK

    def _give_back(self, batch: Any) -> None:
        self._batch = None
        _batches.append(batch)

    def refuse_inside_parts(self) -> None:
        if self._parted is not None:
            raise InvalidStateError("inside a message begun with read_some", Status.ERR_STATE)

    def _is_left_over(self, batch: Any) -> bool:
        return batch is not None and batch.serial != self.queue.serial

    def take(self, ms: int) -> Union[Message, _End, None]:
        """The next message."""
        while (status := self.fill(ms)) == OK:
            try:
                return self.queue.popleft()
            except IndexError:
                ms = 0
        return self._nothing(status)

    def take_many(self, ms: int, count_max: int) -> Optional[List[Message]]:
        """One message and those that are here already; none is the end."""
        messages: List[Message] = []
        while (status := self.fill(ms)) == OK:
            queue = self.queue
            try:
                for _ in range(min(count_max, len(queue))):
                    messages.append(queue.popleft())
            except IndexError:
                pass
            if messages:
                return messages
            ms = 0
        return messages if self._nothing(status) else None

    def take_some(self, ms: int, size_max: int) -> Union[Chunk, _End, None]:
        """The next bytes of the current message."""
        if self._parted is None and (self.queue or self._is_left_over(self._batch)):
            self.fill(0)
            self._begin_parts()
        parted = self._parted
        if parted is not None:
            return self._part(*parted, size_max)
        buffer, chunk = ffi.new("uint8_t[]", size_max), ffi.new("wsstream_chunk *")
        status: int = lib.wsstream_read_some(self.handle, buffer, size_max, ms, chunk)
        if status == OK:
            return Chunk(ffi.buffer(buffer, chunk.size)[:], chunk.type == TEXT, bool(chunk.flags & FIN))
        return self._nothing(status)

    def _begin_parts(self) -> None:
        """A whole message of the queue is given in parts; those behind it wait."""
        try:
            message = self.queue.popleft()
        except IndexError:
            return
        is_text = isinstance(message, str)
        self._parted = memoryview(message.encode() if isinstance(message, str) else message), is_text
        self._behind_parted, self.queue = self.queue, _Queue()
        if self._is_unread:
            self._throw_away()

    def _part(self, rest: memoryview, is_text: bool, size_max: int) -> Chunk:
        chunk = Chunk(bytes(rest[:size_max]), is_text, len(rest) <= size_max)
        if chunk.fin:
            self.queue, self._parted = self._behind_parted, None
        else:
            self._parted = rest[size_max:], is_text
        if self._is_unread:
            self._throw_away()
        return chunk

    def _throw_away(self) -> None:
        """Messages that nobody will ask for. A read in another thread that puts some back sees that, and comes here too."""
        self._is_unread = True
        self.queue.clear()
        self._behind_parted.clear()
        self._parted = self._batch = None

    def _nothing(self, status: int) -> Optional[_End]:
        if status == DONE:
            return END
        if status < 0:
            raise self.fail(status)
        return None

    def cancel(self, code: int, reason: str) -> None:
        text = reason.encode()
        self._raise(lib.wsstream_readable_cancel(self.handle, code, text, len(text)))
        self._throw_away()

    # ---- Writing

    def put(self, ms: int, kind: int, data: Any, size: int, flags: int) -> Optional[bool]:
        """Writes a message, or with flags other than WHOLE a part of one; None: nothing was taken."""
        if flags == WHOLE:
            status = lib.wsstream_write(self.handle, kind, data, size, ms)
        else:
            status = lib.wsstream_write_some(self.handle, kind, data, size, flags, ms)
        if status == OK or status == QUEUED:
            return True
        if status < 0:
            raise self.fail(status)
        return None

    def flush(self) -> None:
        self._raise(lib.wsstream_flush(self.handle, 0))

    def abort(self, code: int, reason: str) -> None:
        text = reason.encode()
        self._raise(lib.wsstream_writable_abort(self.handle, code, text, len(text)))

    def begin_writable_close(self) -> None:
        status = lib.wsstream_writable_close(self.handle, 0)
        if status < 0 and not ends_stream(status):
            raise self.fail(status)

    # ---- Opening and ending

    def opened(self, ms: int) -> Optional[Opened]:
        status = lib.wsstream_wait_opened(self.handle, ms)
        if status < 0:
            raise self.fail(status)
        if status != OK:
            return None
        return Opened(text_of(lib.wsstream_protocol(self.handle)), text_of(lib.wsstream_extensions(self.handle)))

    def close(self, code: int, reason: str) -> None:
        text = reason.encode()
        check(lib.wsstream_close(self.handle, code, text, len(text)))

    def closed(self, ms: int) -> Optional[CloseInfo]:
        """How the stream ended, where that was clean; else it raises that."""
        status = OK if self._settled else self._ask_closed(ms)
        if self._settled is None:
            self._raise(status)
            return None
        status, info = self._settled
        if status != OK:
            raise error_of(status, info)
        return info

    def settled(self) -> Optional[Tuple[int, CloseInfo]]:
        """The status and the info of the end; None before it. Once asked for they stay known when the stream is freed."""
        if self._settled is None:
            self._ask_closed(0)
        return self._settled

    def _ask_closed(self, ms: int) -> int:
        out = ffi.new("wsstream_close_info **")
        status: int = lib.wsstream_wait_closed(self.handle, ms, out)
        if out[0]:
            self._settled = status, close_info(out[0])
        return status

    def _raise(self, status: int) -> None:
        if status < 0:
            raise self.fail(status)


def text_of(pointer: Any) -> str:
    """A text of the library; one of the network may be no UTF-8."""
    made: str = ffi.string(pointer).decode(errors="surrogateescape")
    return made


def outgoing(data: Union[str, Buffer], text: bool) -> Tuple[int, Any, int]:
    """A message for the library: type, pointer, size. Bytes are not copied."""
    if isinstance(data, str):
        encoded = data.encode()
        return TEXT, encoded, len(encoded)
    if isinstance(data, bytes):
        return TEXT if text else BINARY, data, len(data)
    view = ffi.from_buffer(data)
    return TEXT if text else BINARY, view, len(view)


def flags_of(fin: bool, more: bool, compress: bool) -> int:
    """For a part of a message."""
    return (FIN if fin else 0) | (MORE if more else 0) | (0 if compress else NO_COMPRESS)


def flags_of_whole(more: bool, compress: bool) -> int:
    return WHOLE if compress and not more else flags_of(True, more, compress)
