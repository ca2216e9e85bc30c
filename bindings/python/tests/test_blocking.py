"""What only the blocking twin has: timeouts, and threads that meet in one stream."""

import concurrent.futures

import pytest
import wsstream
import wsstream.sync
from wsstream import _core
from wsstream._native import lib as library


@pytest.mark.parametrize("seconds", [-0.001, -10, 0])
@pytest.mark.parametrize("place", ["main_thread", "thread"])
def test_a_time_that_is_over_waits_for_nothing(server, place, seconds):
    with wsstream.sync.WebSocketStream(server + "/echo") as ws:
        calls = [ws.readable.read, ws.readable.read_many, lambda timeout: ws.readable.read_some(1, timeout), ws.closed]

        def wait():
            for call in calls:
                with pytest.raises(TimeoutError):
                    call(timeout=seconds)

        if place == "main_thread":
            wait()
        else:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(wait).result()
        ws.writable.write("x", timeout=seconds)
        assert ws.readable.read() == "x"


class Between:
    """The library, and what another thread does when a call of it has returned, before the one that called goes on."""

    def __init__(self, monkeypatch, name, act):
        def call(*arguments):
            answer = getattr(library, name)(*arguments)
            in_a_thread(act)
            return answer

        monkeypatch.setattr(_core, "lib", self)
        setattr(self, name, call)

    def __getattr__(self, name):
        return getattr(library, name)


def in_a_thread(act):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def take_what_is_here(ws, taken):
    while ws._core.queue:
        taken.append(ws.readable.read())


@pytest.mark.parametrize("many", [False, True])
def test_a_read_whose_messages_another_thread_took_goes_on(server, monkeypatch, many):
    count, taken = 20, []
    # Large ones are released after they were queued, and other threads run meanwhile.
    with wsstream.sync.WebSocketStream(server + f"/count?n={count}&size=5000") as ws:
        Between(monkeypatch, "wsstream_batch_release", lambda: take_what_is_here(ws, taken))
        if many:
            while messages := ws.readable.read_many(3):
                taken += messages
        else:
            taken += ws.readable
    assert sorted(message[0] for message in taken) == [chr(ord("a") + index) for index in range(count)]


def test_what_was_taken_before_another_thread_took_the_rest_is_not_lost(server, monkeypatch):
    stolen = []

    class Queue(_core._Queue):
        def popleft(self):
            message = super().popleft()
            stolen.extend(self)
            self.clear()
            return message

    monkeypatch.setattr(_core, "_Queue", Queue)
    with wsstream.sync.WebSocketStream(server + "/count?n=20&size=10") as ws:
        taken = []
        while messages := ws.readable.read_many():
            taken += messages
    assert sorted(message[0] for message in taken + stolen) == [chr(ord("a") + index) for index in range(20)]


@pytest.mark.parametrize("call", ["wsstream_batch_read", "wsstream_batch_release"])
@pytest.mark.parametrize("how", ["cancel", "free"])
def test_a_read_brings_nothing_back_that_another_thread_threw_away(server, monkeypatch, call, how):
    ws = wsstream.sync.WebSocketStream(server + "/count?n=0&size=5000&close=none")
    ws.opened()
    Between(monkeypatch, call, ws.readable.cancel if how == "cancel" else ws.free)
    for read in (ws.readable.read, ws.readable.read_many, lambda: ws.readable.read_some(1)):
        if how == "cancel":
            assert not read()
        else:
            with pytest.raises(wsstream.InvalidStateError):
                read()
    ws.free()


@pytest.mark.parametrize("size", [1, 4999, 5000])
@pytest.mark.parametrize("how", ["cancel", "free"])
def test_a_part_is_the_last_when_another_thread_threw_the_rest_away(server, monkeypatch, size, how):
    ws = wsstream.sync.WebSocketStream(server + "/count?n=0&size=5000&close=none")
    ws.readable.read()
    # Until a batch has more messages than one.
    while not ws._core.queue:
        ws.readable.read()
    make = _core.Chunk

    def chunk(*fields):
        in_a_thread(ws.readable.cancel if how == "cancel" else ws.free)
        return make(*fields)

    assert len(ws.readable.read_some(1).data) == 1
    monkeypatch.setattr(_core, "Chunk", chunk)
    assert len(ws.readable.read_some(size).data) == min(size, 4999)
    monkeypatch.undo()
    if how == "cancel":
        assert ws.readable.read_some(1) is None
        assert ws.readable.read() is None
    else:
        for read in (ws.readable.read, lambda: ws.readable.read_some(1)):
            with pytest.raises(wsstream.InvalidStateError):
                read()
    ws.free()
