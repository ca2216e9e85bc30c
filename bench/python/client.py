"""The clients in Python: client.py CLIENT WORK URL KEY=VALUE..."""
import asyncio
import ssl
import sys

import work as bench


class Peer:
    """A client whose library sends and receives one message at a time."""

    def __init__(self, work):
        self.work = work

    async def send_many(self, payload, count):
        for _ in range(count):
            await self.send(payload)

    async def receive_many(self, count):
        for _ in range(count):
            self.work.check(await self.receive())


def trusting(work):
    return ssl.create_default_context(cafile=work.ca) if work.ca else None


def arguments_of_wsstream(work):
    import wsstream

    work.version = f"wsstream/{wsstream.__version__}"
    pem = {}
    if work.ca:
        with open(work.ca, "rb") as file:
            pem["ca_pem"] = file.read()
    return {"deflate": False, **pem}


class Asyncio(Peer):
    """wsstream.WebSocketStream."""

    def __init__(self, work, stream):
        super().__init__(work)
        self.readable, self.writable = stream.readable, stream.writable
        self.send, self.receive = self.writable.write, self.readable.read

    async def send_many(self, payload, count):
        more = self.work.gather
        for _ in range(count):
            await self.writable.write(payload, more=more)
        self.writable.flush()

    async def receive_many(self, count):
        while count:
            messages = await self.readable.read_many(count)
            count -= len(messages)
            for message in messages:
                self.work.check(message)


async def wsstream_asyncio(work):
    import wsstream

    async with wsstream.WebSocketStream(work.url, **arguments_of_wsstream(work)) as stream:
        await bench.converse(work, Asyncio(work, stream))


class Blocking(Peer):
    """wsstream.sync.WebSocketStream."""

    def __init__(self, work, stream):
        super().__init__(work)
        self.readable, self.writable = stream.readable, stream.writable

    async def send(self, payload):
        self.writable.write(payload)

    async def receive(self):
        return self.readable.read()

    async def send_many(self, payload, count):
        write, more = self.writable.write, self.work.gather
        for _ in range(count):
            write(payload, more=more)
        self.writable.flush()

    async def receive_many(self, count):
        while count:
            messages = self.readable.read_many(count)
            count -= len(messages)
            for message in messages:
                self.work.check(message)


def wsstream_blocking(work):
    import wsstream.sync

    with wsstream.sync.WebSocketStream(work.url, **arguments_of_wsstream(work)) as stream:
        try:
            bench.converse(work, Blocking(work, stream)).send(None)
        except StopIteration:
            pass


class Websockets(Peer):
    def __init__(self, work, connection):
        super().__init__(work)
        self.send, self.receive = connection.send, connection.recv


async def websockets(work):
    import websockets
    import websockets.asyncio.client
    import websockets.speedups  # What is measured has them.

    work.version = f"websockets/{websockets.__version__}"
    async with websockets.asyncio.client.connect(work.url, compression=None, max_size=None, ssl=trusting(work)) as connection:
        await bench.converse(work, Websockets(work, connection))


class Aiohttp(Peer):
    def __init__(self, work, connection):
        super().__init__(work)
        self.send, self.receive = connection.send_bytes, connection.receive_bytes


async def aiohttp(work):
    import aiohttp

    work.version = f"aiohttp/{aiohttp.__version__}"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(work.url, max_msg_size=0, ssl=trusting(work) or True) as connection:
            await bench.converse(work, Aiohttp(work, connection))


async def picows(work):
    import picows_client

    await picows_client.run(work)


CLIENTS = {
    "wsstream_asyncio": wsstream_asyncio,
    "wsstream_blocking": wsstream_blocking,
    "websockets": websockets,
    "aiohttp": aiohttp,
    "picows": picows,
}


def main():
    work, client = bench.Work(*sys.argv[2:]), CLIENTS[sys.argv[1]]
    if asyncio.iscoroutinefunction(client):
        asyncio.run(client(work))
    else:
        client(work)
    work.print()


main()
