"""A hundred streams in one asyncio loop: each writes its messages, hears them back and closes.

    python event_loop.py ws://127.0.0.1:9000/echo [STREAMS [MESSAGES]]

Writing and reading are two tasks of each stream: the server answers while it is written to, and a stream whose answers nobody reads
is soon not written to any more.
"""

import asyncio
import sys

import wsstream

PAYLOAD = b"x" * 16384


async def write(ws: wsstream.WebSocketStream, messages: int) -> None:
    for _ in range(messages):
        await ws.writable.write(PAYLOAD)


async def talk(url: str, messages: int) -> int:
    """How many echoes came; raises WebSocketError where the end was not clean."""
    async with wsstream.WebSocketStream(url) as ws:
        writer = asyncio.create_task(write(ws, messages))
        echoed = 0
        async for message in ws.readable:
            assert message == PAYLOAD
            echoed += 1
            if echoed == messages:
                ws.close(1000, "all heard")
        await writer
        return echoed


async def main(url: str, streams: int = 100, messages: int = 20) -> None:
    echoed = await asyncio.gather(*(talk(url, messages) for _ in range(streams)))
    print(f"{streams} streams: {streams * messages} messages, {sum(echoed)} echoes, {streams} closed cleanly")


asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
