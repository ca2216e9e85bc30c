"""Cancelling loses nothing: neither a message nor the stream."""

import asyncio
import random

import pytest
import wsstream
from control import release, unique

MESSAGES = 600


async def cancelled_at_random(make, chance):
    """Does something until it was not cancelled, and says how often it was."""
    cancelled = 0
    while True:
        task = asyncio.ensure_future(make())
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        task.cancel()
        try:
            return await task, cancelled
        except asyncio.CancelledError:
            cancelled += 1


@pytest.mark.parametrize("seed", range(4))
def test_every_message_comes_once_and_in_order_wherever_reads_and_writes_are_cancelled(server, seed):
    chance = random.Random(seed)
    # With small buffers both halves wait often.
    size = chance.choice([1, 100, 30_000])

    def message(index):
        return str(index).ljust(size, ".")

    async def write(ws):
        for index in range(MESSAGES):
            await cancelled_at_random(lambda: ws.writable.write(message(index)), chance)

    async def read(ws):
        cancelled, messages = 0, []
        while len(messages) < MESSAGES:
            got, times = await cancelled_at_random(ws.readable.read, chance)
            messages.append(got)
            cancelled += times
        return messages, cancelled

    async def main():
        async with wsstream.WebSocketStream(server + "/echo", write_buffer_size=1000, deflate=False) as ws:
            _, (messages, cancelled) = await asyncio.gather(write(ws), read(ws))
            assert messages == [message(index) for index in range(MESSAGES)]
            assert cancelled > 0
            assert ws.statistics.messages_sent == MESSAGES

    asyncio.run(main())


def test_a_cancelled_wait_for_the_end_leaves_the_others_waiting(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            first, second = (asyncio.ensure_future(ws.closed) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            ws.close(3000)
            assert (await second).code == 3000
            assert first.cancelled()

    asyncio.run(main())


def test_a_task_that_is_cancelled_while_it_opens_gives_the_opening_up(server):
    token = unique("opening")

    async def main():
        ws = wsstream.WebSocketStream(f"{server}/handshake?token={token}")

        async def enter():
            async with ws:
                raise AssertionError("open")

        task = asyncio.ensure_future(enter())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(wsstream.InvalidStateError):
            await ws.opened
        release(token)

    asyncio.run(main())


def test_an_exception_leaves_without_waiting_for_the_peer(server):
    async def main():
        with pytest.raises(KeyError):
            async with wsstream.WebSocketStream(server + "/close_reply?missing=1", close_timeout=0) as ws:
                raise KeyError
        with pytest.raises(wsstream.InvalidStateError):
            await ws.writable.write("x")

    asyncio.run(main())


def test_writers_that_wait_have_their_turns_in_order(server):
    token = unique("turns")

    async def main():
        path = f"/stall_until?token={token}&then=echo"
        async with wsstream.WebSocketStream(server + path, deflate=False) as ws:
            filler = b"x" * 65536
            fillers = 0
            while True:
                try:
                    await asyncio.wait_for(ws.writable.write(filler), 0.1)
                except asyncio.TimeoutError:
                    break
                fillers += 1
            writers = [asyncio.ensure_future(ws.writable.write(str(index))) for index in range(20)]
            await asyncio.sleep(0)
            for index in range(0, 20, 3):
                writers[index].cancel()
            release(token)
            read = [await ws.readable.read() for _ in range(fillers + 13)]
            await asyncio.gather(*writers, return_exceptions=True)
            assert read[:fillers] == [filler] * fillers
            assert read[fillers:] == [str(index) for index in range(20) if index % 3]

    asyncio.run(main())


def test_a_write_waits_behind_one_whose_turn_has_come(server):
    token = unique("turn")

    async def main():
        ws = wsstream.WebSocketStream(f"{server}/handshake?token={token}")

        async def write(*messages):
            for message in messages:
                await ws.writable.write(message)

        # Both wait, as the stream is not open.
        writers = asyncio.gather(write("1", "3"), write("2", "4"))
        await asyncio.sleep(0)
        release(token)
        async with ws:
            await writers
            assert [await ws.readable.read() for _ in range(4)] == ["1", "2", "3", "4"]

    asyncio.run(main())


def test_tasks_that_need_not_wait_write_in_the_order_they_came(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            written = [str(index) for index in range(200)]
            writers = asyncio.gather(*map(ws.writable.write, written))
            assert [await ws.readable.read() for _ in written] == written
            await writers

    asyncio.run(main())
