"""What streams leave behind, how they end when nobody ends them, and in the child of a fork."""

import asyncio
import gc
import os
import sys
import threading
import warnings
import weakref

import pytest
import wsstream
import wsstream.sync
from control import release, unique
from shapes import of_each


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_streams_that_were_left_are_gone_with_their_descriptors(server):
    async def one():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            await ws.writable.write("x" * 5000)
            assert await ws.readable.read() == "x" * 5000
        return weakref.ref(ws), weakref.ref(ws._core)

    async def main():
        await one()
        gc.collect()
        before = descriptors()
        gc.disable()
        try:
            references = [reference for _ in range(100) for reference in await one()]
            # Without the collector: a stream is in no cycle.
            assert [reference() for reference in references if reference() is not None] == []
        finally:
            gc.enable()
        assert descriptors() < before + 20

    asyncio.run(main())


@of_each
async def test_a_stream_that_nobody_has_is_freed_with_a_warning(api, server):
    ws = api.Stream(server + "/echo")
    await ws.opened
    core = weakref.ref(ws._core)
    with pytest.warns(ResourceWarning, match="unclosed WebSocketStream"):
        del ws
        gc.collect()
    assert core() is None


def test_a_stream_that_nobody_has_leaves_the_loop_where_a_warning_is_an_error(server, monkeypatch):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: raised.append(error.exc_type))

    async def main():
        ws = wsstream.WebSocketStream(server + "/echo")
        await ws.opened
        # Once something has waited the loop has the descriptor.
        reader = asyncio.ensure_future(ws.readable.read())
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        del reader
        descriptor = ws._core._descriptor
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del ws
            gc.collect()
        assert raised == [ResourceWarning]
        assert not asyncio.get_running_loop().remove_reader(descriptor)

    asyncio.run(main())


def test_a_task_that_nobody_has_goes_on_when_what_it_waits_for_comes(server):
    token = unique("kept")

    async def main():
        over = asyncio.Event()

        async def talk():
            async with wsstream.WebSocketStream(f"{server}/handshake?token={token}") as ws:
                await ws.writable.write("x")
                assert await ws.readable.read() == "x"
            over.set()

        asyncio.ensure_future(talk())
        await asyncio.sleep(0)
        gc.collect()
        release(token)
        await asyncio.wait_for(over.wait(), 20)

    asyncio.run(main())


def test_a_stream_that_was_waited_in_goes_with_its_loop(server):
    loop = asyncio.new_event_loop()

    async def wait():
        ws = wsstream.WebSocketStream(server + "/echo")
        await ws.opened
        waits = asyncio.ensure_future(ws.readable.read())
        await asyncio.sleep(0)
        # That it never ended is meant.
        waits._log_destroy_pending = False
        return weakref.ref(ws._core)

    core = loop.run_until_complete(wait())
    gc.collect()
    assert core() is not None
    loop.close()
    del loop
    with pytest.warns(ResourceWarning, match="unclosed WebSocketStream"):
        gc.collect()
    assert core() is None


@of_each
async def test_a_stream_that_has_ended_needs_no_more(api, server):
    ws = api.Stream(server + "/close?code=1000")
    await ws.closed
    core = weakref.ref(ws._core)
    # A warning is an error here.
    del ws
    gc.collect()
    assert core() is None


def test_a_stream_that_another_thread_collects_leaves_the_loop_first(server):
    async def main():
        # Each is in the loop, as it has waited.
        holders = [[wsstream.WebSocketStream(server + "/close?code=1000")] for _ in range(20)]
        for holder in holders:
            await holder[0].closed
        for holder in holders:
            thread = threading.Thread(target=holder.clear)
            thread.start()
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
        await asyncio.sleep(0)
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            await ws.writable.write("x")
            assert await ws.readable.read() == "x"

    asyncio.run(main())


@of_each
async def test_a_freed_stream_refuses_everything_and_still_knows_its_end(api, server):
    async with api.Stream(server + "/echo") as ws:
        pass
    for call in (ws.readable.read, lambda: ws.readable.read_some(1), lambda: ws.writable.write("x"), ws.writable.close):
        with pytest.raises(wsstream.InvalidStateError):
            await call()
    for call in (ws.close, ws.readable.cancel, ws.writable.abort, ws.writable.flush, lambda: ws.statistics):
        with pytest.raises(wsstream.InvalidStateError):
            call()
    ws.free()
    assert (await ws.closed).clean
    assert ws.url.endswith("/echo")


@of_each
async def test_freeing_lets_go_who_waits(api, server):
    ws = api.Stream(server + "/echo")
    await ws.opened

    async def wait(call):
        with pytest.raises(wsstream.InvalidStateError):
            await call

    async def free():
        ws.free()

    await api.together(wait(ws.readable.read()), wait(ws.closed), free())


def test_the_child_of_a_fork_refuses_and_frees_and_the_parent_goes_on(server):
    async def main():
        async with wsstream.WebSocketStream(server + "/echo") as ws:
            await ws.writable.write("x")
            assert await ws.readable.read() == "x"
            child = os.fork()
            if child == 0:
                os._exit(in_child(ws))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            await ws.writable.write("y")
            assert await ws.readable.read() == "y"

    def in_child(ws):
        try:
            with pytest.raises(wsstream.ForkedError):
                ws.close()
            before = descriptors()
            ws.free()
            assert descriptors() < before
            with wsstream.sync.WebSocketStream(server + "/echo") as own:
                own.writable.write("own")
                return 0 if own.readable.read() == "own" else 1
        except BaseException:
            return 2

    asyncio.run(main())


def test_threads_may_free_what_others_wait_in(server):
    for _ in range(20):
        ws = wsstream.sync.WebSocketStream(server + "/count?n=0&size=100&close=none")

        def read():
            with pytest.raises(wsstream.InvalidStateError):
                for _ in ws.readable:
                    pass

        threads = [threading.Thread(target=read)] + [threading.Thread(target=ws.free) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_a_thread_may_free_what_the_main_thread_waits_in(server, monkeypatch):
    # At once on the descriptor, as a wait of some time is.
    monkeypatch.setattr(wsstream.sync, "SLICE_MS", 0)
    for _ in range(50):
        ws = wsstream.sync.WebSocketStream(server + "/echo")
        ws.opened()
        thread = threading.Thread(target=ws.free)
        thread.start()
        with pytest.raises(wsstream.InvalidStateError):
            ws.readable.read()
        thread.join()


def test_long_waits_of_the_main_thread_are_answered(server, monkeypatch):
    monkeypatch.setattr(wsstream.sync, "SLICE_MS", 0)
    ws = wsstream.sync.WebSocketStream(server + "/ping_echo")
    with ws:
        for index in range(50):
            ws.writable.write(str(index))
            assert (ws.readable.read() if index % 2 else ws.readable.read_some(9).data.decode()) == str(index)
        with pytest.raises(TimeoutError):
            ws.readable.read(timeout=0.05)
        ws.close(3000)
        assert ws.closed().code == 3000
