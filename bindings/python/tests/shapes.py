"""Both front ends in the shape of asyncio, so that one test is about both.

Of the blocking twin every call is made when it is awaited, and waits there: such a coroutine never suspends.
"""

import asyncio
import concurrent.futures
import functools

import wsstream
import wsstream.sync


def of_each(test):
    """A test written as a coroutine function, for pytest."""

    @functools.wraps(test)
    def run(**fixtures):
        return fixtures["api"].run(test(**fixtures))

    return run


class Asyncio:
    TimeoutError = asyncio.TimeoutError
    Stream = staticmethod(wsstream.WebSocketStream)

    def run(self, coroutine):
        return asyncio.run(coroutine)

    async def together(self, *coroutines):
        return await asyncio.gather(*coroutines)

    async def closed_within(self, seconds, stream):
        return await asyncio.wait_for(stream.closed, seconds)

    async def read_within(self, seconds, stream):
        return await asyncio.wait_for(stream.readable.read(), seconds)

    async def write_within(self, seconds, stream, data):
        await asyncio.wait_for(stream.writable.write(data), seconds)


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("something of the blocking twin is awaited")


class Blocking:
    TimeoutError = TimeoutError

    def Stream(self, url, **options):
        return BlockingStream(wsstream.sync.WebSocketStream(url, **options))

    def run(self, coroutine):
        return drive(coroutine)

    async def together(self, *coroutines):
        with concurrent.futures.ThreadPoolExecutor(len(coroutines)) as threads:
            return list(threads.map(drive, coroutines))

    async def closed_within(self, seconds, stream):
        return stream.target.closed(timeout=seconds)

    async def read_within(self, seconds, stream):
        return stream.target.readable.read(timeout=seconds)

    async def write_within(self, seconds, stream, data):
        stream.target.writable.write(data, timeout=seconds)


class _Half:
    # What waits; the rest has one shape in both.
    WAITS = ("read", "read_many", "read_some", "write", "write_some", "close")

    def __init__(self, target):
        self.target = target

    def __getattr__(self, name):
        method = getattr(self.target, name)
        if name not in self.WAITS:
            return method

        async def call(*arguments, **keywords):
            return method(*arguments, **keywords)

        return call

    async def __aiter__(self):
        for message in self.target:
            yield message


class BlockingStream:
    def __init__(self, target):
        self.target = target
        self.readable, self.writable = _Half(target.readable), _Half(target.writable)

    def __getattr__(self, name):
        return getattr(self.target, name)

    @property
    async def opened(self):
        return self.target.opened()

    @property
    async def closed(self):
        return self.target.closed()

    async def __aenter__(self):
        self.target.__enter__()
        return self

    async def __aexit__(self, *error):
        self.target.__exit__(*error)
