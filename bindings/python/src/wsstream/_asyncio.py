"""The front end for asyncio: waiting is done by the event loop, on the stream's descriptor."""

from __future__ import annotations

import asyncio
import os
import weakref
from types import TracebackType
from typing import (
    TYPE_CHECKING, Any, Awaitable, Callable, Dict, Generator, Generic, Iterable, List, Optional, Type, TypeVar, Union,
)

from ._base import BaseReadable, BaseStream, BaseWritable
from ._constants import Status
from ._core import (
    AGAIN, CLOSED, OK, OPENED, READABLE, READABLE_SOME, WRITABLE, Buffer, Chunk, Core, Message, Opened, _End, flags_of,
    flags_of_whole, outgoing,
)
from ._errors import BusyError, CloseInfo
from ._native import ffi, lib
from ._options import Aborter, Headers

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._constants import Options

T = TypeVar("T")

# So many writes, or reads of parts, let the loop's other tasks run before the next, also where none of them has to wait.
CALLS_IN_A_ROW = 64


def _free_in_loop(loop: asyncio.AbstractEventLoop, descriptor: int, owned: Any) -> None:
    loop.remove_reader(descriptor)
    ffi.release(owned)


class AsyncCore(Core):
    """A stream, its descriptor in the loop, and the tasks that wait.

    Nothing is taken from the library, or given to it, but in a step that does not await: a task that is cancelled has taken
    nothing.
    """

    _descriptor = -1

    def __init__(self, *arguments: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: Dict[int, List[asyncio.Future[None]]] = {}
        self.watched = 0
        self.has_read_at_once = False
        self.calls = 0
        self.turns: Optional[asyncio.Lock] = None
        self.writers = 0
        super().__init__(*arguments)

    def free(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        # Who waits from now on is refused by the library.
        self.watched = 0
        # In the child of a fork the loop's own descriptor is shared with the parent: what is taken out here is out there.
        if descriptor < 0 or self.loop.is_closed() or self.is_of_parent():
            super().free()
        elif asyncio._get_running_loop() is self.loop or not self.loop.is_running():
            self.loop.remove_reader(descriptor)
            super().free()
            for futures in self.waiting.values():
                _wake(futures)
        else:
            # A collector on another thread: the loop forgets the descriptor before its number is free.
            owned, self._owned = self._owned, None
            self.loop.call_soon_threadsafe(_free_in_loop, self.loop, descriptor, owned)

    async def until(self, attempt: Callable[[], Optional[T]], event: int) -> T:
        """Repeats an attempt whenever its event holds, until it has an answer."""
        while (answer := attempt()) is None:
            await self.wait(event)
        return answer

    async def wait(self, event: int) -> None:
        """Waits until the event may hold."""
        future = self.loop.create_future()
        futures = self.waiting.setdefault(event, [])
        futures.append(future)
        try:
            if not self.watched & event:
                self._watch(self.watched | event)
            await future
        finally:
            futures.remove(future)

    def _watch(self, events: int) -> None:
        self._raise(lib.wsstream_fd_watch(self.handle, events))
        if self._descriptor < 0 and events:
            out = ffi.new("int *")
            self._raise(lib.wsstream_fd(self.handle, out))
            # The loop must not keep a stream alive that everybody else has let go; but the tasks that wait in one, which
            # nobody else may have, and by them their streams.
            self.loop.add_reader(out[0], _on_ready, weakref.ref(self), self.waiting)
            self._descriptor = out[0]
        # Last: what could not be watched is tried again by the next wait.
        self.watched = events

    def handle_ready(self) -> None:
        """The descriptor is readable: wakes who waits for what holds, and watches no more what nobody waits for.

        Reading is watched on after a batch, which saves two system calls for each message of a conversation. Therefore the
        batch is taken here, so that the descriptor is quiet in the loop's next turn, before the reader has run.
        """
        held = self.watched
        if held != READABLE:
            out = ffi.new("uint32_t *")
            if self._owned is None or not held or lib.wsstream_poll(self.handle, held, 0, out) != OK:
                return
            held = out[0]
        over = held
        if held & READABLE:
            futures = self.waiting.get(READABLE)
            if futures and not self.queue:
                status = self.fill(0)
                if status == OK or status == AGAIN:
                    over &= ~READABLE
                if status == AGAIN:
                    held &= ~READABLE
        for event, futures in self.waiting.items():
            if held & event:
                _wake(futures)
        if over:
            self._watch(self.watched & ~over)

    async def let_others_run(self) -> None:
        self.calls = 0
        await asyncio.sleep(0)

    def refuse_second_reader(self) -> None:
        if self.waiting.get(READABLE) or self.waiting.get(READABLE_SOME):
            raise BusyError("another task is reading", Status.ERR_BUSY)

    async def read(self) -> Union[Message, _End]:
        self.refuse_second_reader()
        self.refuse_inside_parts()
        # While reading is watched the loop tells of messages. Otherwise they may be here; but not twice without a turn of
        # the loop, or a flood would keep it from its other tasks.
        if not self.watched & READABLE and not self.has_read_at_once:
            self.has_read_at_once = True
            message = self.take(0)
            if message is not None:
                return message
        while True:
            await self.wait(READABLE)
            self.has_read_at_once = False
            message = self.take(0)
            if message is not None:
                return message

    async def write(self, kind: int, data: Any, size: int, flags: int) -> None:
        """Writes where there was no room, or others wait: one after the other, in the order they came."""
        if self.turns is None:
            self.turns = asyncio.Lock()
        # Not what the lock says: it is open while the next in turn has been told, and has not run yet.
        self.writers += 1
        try:
            async with self.turns:
                if self.calls >= CALLS_IN_A_ROW:
                    await self.let_others_run()
                await self.until(lambda: self.put(0, kind, data, size, flags), WRITABLE)
        finally:
            self.writers -= 1


def _wake(futures: List[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def _on_ready(reference: weakref.ref[AsyncCore], _kept: Dict[int, List[asyncio.Future[None]]]) -> None:
    core = reference()
    if core is not None:
        core.handle_ready()


class Promise(Generic[T]):
    """May be awaited any number of times, by any number of tasks; cancelling one of them is nothing to the others."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make

    def __await__(self) -> Generator[Any, Any, T]:
        return self._make().__await__()


class Readable(BaseReadable[AsyncCore]):
    """The half of a stream that messages come from: `async for message in ws.readable`, or `read`.

    One task reads at a time, another one gets BusyError. Up to 256 messages are taken from the library together, and the next
    only when all of them were read; behind them the peer has to wait. A read that is cancelled has taken nothing.
    """

    __slots__ = ()

    async def read(self) -> Optional[Message]:
        """The next message, `str` for text and `bytes` for binary; None when the readable side has ended.

        Raises WebSocketError when the end was not clean, AbortError, and InvalidStateError when the stream was freed or is
        inside a message that `read_some` has begun. After an end without a Close of the peer, messages that the library
        still held are lost.
        """
        queue = self._core.queue
        if queue:
            return queue.popleft()
        message = await self._core.read()
        return None if isinstance(message, _End) else message

    def __aiter__(self) -> Readable:
        return self

    async def __anext__(self) -> Message:
        queue = self._core.queue
        if queue:
            return queue.popleft()
        message = await self._core.read()
        if isinstance(message, _End):
            raise StopAsyncIteration
        return message

    async def read_many(self, count_max: int = 256) -> List[Message]:
        """Waits for one message and gives those that are here already, at most `count_max`; an empty list is the end."""
        if count_max < 1:
            raise ValueError("count_max is less than 1")
        first = await self.read()
        if first is None:
            return []
        queue = self._core.queue
        return [first, *(queue.popleft() for _ in range(min(count_max - 1, len(queue))))]

    async def read_some(self, size_max: int) -> Optional[Chunk]:
        """The next bytes of the current message, at most `size_max`; None when the readable side has ended.

        For messages that are too large to be held whole. Until a chunk has `fin`, `read` raises InvalidStateError.
        """
        if size_max < 1:
            raise ValueError("size_max is less than 1")
        core = self._core
        core.calls += 1
        if core.calls >= CALLS_IN_A_ROW:
            await core.let_others_run()
        core.refuse_second_reader()
        chunk: Union[Chunk, _End] = await core.until(lambda: core.take_some(0, size_max), READABLE_SOME)
        return None if isinstance(chunk, _End) else chunk


class Writable(BaseWritable[AsyncCore]):
    """The half of a stream that messages go to.

    Any number of tasks may write: while there is no room they wait in the order they came. A write that is cancelled has
    taken nothing; one that has returned was taken, and the library sends it.
    """

    __slots__ = ()

    async def write(
        self, data: Union[str, Buffer], *, text: bool = False, more: bool = False, compress: bool = True
    ) -> None:
        """Writes a message: `str` as text, anything that has bytes as binary, or with `text` as text in UTF-8.

        It waits while the stream is being opened and while more than `write_buffer_size` bytes are on their way. Bytes are
        not copied while it waits: leave them as they are until it has returned.

        more: the next message comes soon: this one may be held back for up to 5 ms, or until `flush`.
        compress: False sends it uncompressed.

        Raises ArgumentError for text that is not UTF-8, which leaves the stream as it was; InvalidStateError when writing
        is over; WebSocketError when the connection failed.
        """
        kind, pointer, size = outgoing(data, text)
        await self._write(kind, pointer, size, flags_of_whole(more, compress))

    async def write_some(
        self, data: Union[str, Buffer], *, fin: bool, text: bool = False, more: bool = False, compress: bool = True
    ) -> None:
        """Writes a part of a message; the one with `fin` is its last. Until then no other message may be written.

        As with `write`; every part is `str`, or every part has the same `text`. Parts of bytes may split a character.
        """
        kind, pointer, size = outgoing(data, text)
        await self._write(kind, pointer, size, flags_of(fin, more, compress))

    async def _write(self, kind: int, pointer: Any, size: int, flags: int) -> None:
        core = self._core
        core.calls += 1
        if core.calls >= CALLS_IN_A_ROW or core.writers or core.put(0, kind, pointer, size, flags) is None:
            await core.write(kind, pointer, size, flags)

    async def close(self) -> None:
        """Ends the writable side behind what was written, with a Close without a code, and waits for the end.

        Raises InvalidStateError when the half has ended before, and as `closed` does. Cancelled, it has closed all the same.
        """
        self._core.begin_writable_close()
        await self._core.until(lambda: self._core.closed(0), CLOSED)


class WebSocketStream(BaseStream[AsyncCore]):
    """A WebSocket connection of a client, for asyncio.

        async with WebSocketStream("wss://example.org/chat") as ws:
            await ws.writable.write("hello")
            async for message in ws.readable:
                print(message)

    Connecting begins at once. `async with` waits until the stream is open; leaving it closes the stream with 1000 and waits for
    the end, or, where an exception leaves it, frees the stream at once, which sends 1001. A task that is cancelled while it
    enters gives the opening up.

    url: ws: or wss: (http: and https: mean the same two), without a fragment.
    protocols: the sub-protocols that are offered; a server that picks none fails the opening.
    headers: header fields for the HTTP request.
    aborter: gives the opening up.
    options: as `Options` lists them; times are in seconds.

    A stream belongs to the running event loop of the thread that makes it, and is used there only.

    Raises WebSocketSyntaxError for the URL or a sub-protocol, ArgumentError and UnsupportedError for the options.
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
        self._core = AsyncCore(url, protocols, headers, aborter, options)
        #: The half that messages come from.
        self.readable = Readable(self._core)
        #: The half that messages go to.
        self.writable = Writable(self._core)

    @property
    def opened(self) -> Awaitable[Opened]:
        """To be awaited: the stream is open. Raises WebSocketError where it could not be opened, or AbortError."""
        core = self._core
        return Promise(lambda: core.until(lambda: core.opened(0), OPENED))

    @property
    def closed(self) -> Awaitable[CloseInfo]:
        """To be awaited: how the stream has ended, where that was clean.

        Raises WebSocketError, with the same in `info`, where it was not, and AbortError. It reads no messages: before
        a `close` of this side, a Close of the peer behind more unread bytes than `read_buffer_size` waits for a reader.
        """
        core = self._core
        return Promise(lambda: core.until(lambda: core.closed(0), CLOSED))

    async def __aenter__(self) -> WebSocketStream:
        try:
            await self.opened
        except BaseException:
            self.free()
            raise
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            # An end that has come before was told to whoever read or wrote.
            if kind is None and not self._core.is_freed() and self._core.settled() is None:
                self.close(1000)
                await self.closed
        finally:
            self.free()
