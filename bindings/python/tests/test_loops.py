"""asyncio through the descriptor: no thread for a stream, no turns of the loop without need, a loop for each thread."""

import asyncio
import concurrent.futures
import pathlib

import pytest
import wsstream
from control import release, unique
from wsstream._asyncio import CALLS_IN_A_ROW


def threads():
    """Those of the process, but for the library's that look up a name, which last as long as that takes."""
    names = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if not name.startswith("wsstream-name")]


def wakeups(loop):
    """Counts the turns of a loop from now on."""
    counted = [0]
    select = loop._selector.select

    def count(timeout=None):
        counted[0] += 1
        return select(timeout)

    loop._selector.select = count
    return counted


def test_a_stream_has_no_thread_of_its_own(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo"):
            with_one = len(threads())
            others = [wsstream.WebSocketStream(server + "/echo") for _ in range(30)]
            await asyncio.gather(*(ws.opened for ws in others))
            readers = [asyncio.ensure_future(ws.readable.read()) for ws in others]
            await asyncio.sleep(0)
            assert len(threads()) <= with_one, threads()
            for ws in others:
                ws.close()
            await asyncio.gather(*readers, *(ws.closed for ws in others))

    asyncio.run(main())


def test_a_wait_costs_no_turns_of_the_loop(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            reader = asyncio.ensure_future(ws.readable.read())
            ending = asyncio.ensure_future(ws.closed)
            await asyncio.sleep(0.05)
            counted = wakeups(asyncio.get_running_loop())
            await asyncio.sleep(0.3)
            # The turn in which the sleep ends, and what a busy machine makes of its time.
            assert counted[0] <= 4
            await ws.writable.write("x")
            assert await reader == "x"
            ws.close()
            await ending

    asyncio.run(main())


def test_a_message_that_nobody_reads_costs_no_turns_of_the_loop(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            for _ in range(2):
                await ws.writable.write("x")
            assert await ws.readable.read() == "x"
            await asyncio.sleep(0.05)
            counted = wakeups(asyncio.get_running_loop())
            await asyncio.sleep(0.3)
            assert counted[0] <= 4
            assert await ws.readable.read() == "x"

    asyncio.run(main())


def test_a_flood_lets_other_tasks_run(server):
    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with wsstream.WebSocketStream(server + "/count?n=20000&size=16&type=binary") as ws:
            task = asyncio.ensure_future(other())
            received = 0
            async for message in ws.readable:
                received += 1
                # A batch has at most 256 messages.
                assert turns >= received // 256 - 1
            assert received == 20000
            task.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("what", ["write", "read_some"])
def test_calls_that_need_not_wait_let_other_tasks_run(server, what):
    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with wsstream.WebSocketStream(server + "/echo") as ws:
            await ws.writable.write("x" * 5000)
            task = asyncio.ensure_future(other())
            for index in range(2000):
                await (ws.writable.write("x") if what == "write" else ws.readable.read_some(1))
                assert turns >= index // 64 - 1
            task.cancel()
            ws.free()

    asyncio.run(main())


def test_each_thread_may_have_a_loop_with_streams(server):
    async def talk(name):
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            for index in range(100):
                await ws.writable.write(f"{name} {index}")
                assert await ws.readable.read() == f"{name} {index}"
        return name

    async def main(name):
        return await asyncio.gather(*(talk(f"{name} {stream}") for stream in range(3)))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda name: asyncio.run(main(name)), range(4)))
    assert results == [[f"{name} {stream}" for stream in range(3)] for name in range(4)]


def test_a_stream_needs_a_running_loop(server):
    with pytest.raises(RuntimeError):
        wsstream.WebSocketStream(server + "/echo")


def test_a_second_reader_is_refused_and_the_first_goes_on(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            reader = asyncio.ensure_future(ws.readable.read())
            await asyncio.sleep(0)
            with pytest.raises(wsstream.BusyError):
                await ws.readable.read()
            with pytest.raises(wsstream.BusyError):
                await ws.readable.read_some(1)
            await ws.writable.write("x")
            assert await reader == "x"

    asyncio.run(main())


def test_a_reader_that_let_others_run_is_refused_when_one_of_them_reads(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            # With the write they are so many calls that the next lets others run.
            count = CALLS_IN_A_ROW - 2
            await ws.writable.write("x" * count)
            chunks = [await ws.readable.read_some(1) for _ in range(count)]
            assert chunks[-1].fin
            some = asyncio.ensure_future(ws.readable.read_some(1))
            whole = asyncio.ensure_future(ws.readable.read())
            with pytest.raises(wsstream.BusyError):
                await asyncio.wait_for(some, 20)
            await ws.writable.write("whole")
            assert await whole == "whole"

    asyncio.run(main())


def test_a_descriptor_that_the_loop_refused_is_offered_again(server, monkeypatch):
    token = unique("refused")

    async def main():
        ws = wsstream.WebSocketStream(f"{server}/handshake?token={token}")

        def refuse(*arguments):
            raise OSError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
            with pytest.raises(OSError):
                await ws.opened
        opened = asyncio.ensure_future(ws.opened)
        await asyncio.sleep(0)
        release(token)
        await asyncio.wait_for(opened, 20)
        ws.free()

    asyncio.run(main())
