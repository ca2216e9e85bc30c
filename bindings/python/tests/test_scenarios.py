"""tests/scenarios.toml in Python, with both front ends."""

import errno
import socket

import pytest
import wsstream
from control import release, unique
from shapes import of_each


def letters(index, size):
    """Message index of /count as text."""
    return "".join(chr(ord("a") + (index + at) % 26) for at in range(size))


def numbers(index, size):
    """Message index of /count in binary."""
    return bytes((31 * index + at) % 251 for at in range(size))


@of_each
async def test_hello_is_echoed(api, server):
    async with api.Stream(server + "/echo") as ws:
        await ws.writable.write("hëllo ☃")
        assert await ws.readable.read() == "hëllo ☃"
        for data in (b"\x00\xff", bytearray(b"\x01\xfe"), memoryview(b"\x02\xfd")):
            await ws.writable.write(data)
            assert await ws.readable.read() == data


@of_each
async def test_an_empty_message_is_a_message(api, server):
    async with api.Stream(server + "/echo") as ws:
        for data in ("", b""):
            await ws.writable.write(data)
            assert await ws.readable.read() == data


@of_each
async def test_a_large_message_comes_whole(api, server):
    data = numbers(0, 251) * 12_533
    assert len(data) > 3 << 20
    async with api.Stream(server + "/echo") as ws:
        _, answer = await api.together(ws.writable.write(data), ws.readable.read())
        assert answer == data


@of_each
async def test_a_fragmented_message_comes_whole(api, server):
    async with api.Stream(server + "/echo?frame=7") as ws:
        await ws.writable.write("☃" * 100)
        assert await ws.readable.read() == "☃" * 100


@of_each
async def test_messages_come_in_order_and_then_the_end(api, server):
    async with api.Stream(server + "/count?n=1000&size=16") as ws:
        assert [message async for message in ws.readable] == [letters(index, 16) for index in range(1000)]
        assert await ws.readable.read() is None
        info = await ws.closed
        assert (info.code, info.clean) == (1000, True)


@of_each
async def test_parts_make_one_message(api, server):
    parts = [b"some", b"", b" bytes in ", b"parts"]
    async with api.Stream(server + "/echo") as ws:
        for index, part in enumerate(parts):
            await ws.writable.write_some(part, fin=index == len(parts) - 1)
        assert await ws.readable.read() == b"".join(parts)
        await ws.writable.write("a text of many parts")
        read = []
        while not read or not read[-1].fin:
            read.append(await ws.readable.read_some(5))
        assert b"".join(chunk.data for chunk in read) == b"a text of many parts"
        assert all(chunk.is_text and len(chunk.data) <= 5 for chunk in read)


@of_each
async def test_the_close_code_and_reason_are_the_peers(api, server):
    async with api.Stream(server + "/close?code=3001&reason=enough") as ws:
        info = await ws.closed
        assert (info.code, info.reason, info.clean) == (3001, "enough", True)
        assert info.initiator is wsstream.Initiator.REMOTE


@of_each
async def test_a_close_without_a_code_is_1005(api, server):
    async with api.Stream(server + "/close") as ws:
        info = await ws.closed
        assert (info.code, info.reason, info.clean) == (1005, "", True)


@of_each
async def test_our_close_is_answered(api, server):
    async with api.Stream(server + "/echo") as ws:
        ws.close(3002, "done")
        info = await ws.closed
        assert (info.code, info.reason, info.clean, info.sent_code) == (3002, "done", True, 3002)
        assert info.initiator is wsstream.Initiator.LOCAL


@of_each
async def test_a_dropped_connection_is_no_clean_end(api, server):
    async with api.Stream(server + "/abrupt?after=1&echo=1") as ws:
        await ws.writable.write("x")
        with pytest.raises(wsstream.WebSocketError) as ending:
            assert await ws.readable.read() == "x"
            await ws.readable.read()
        with pytest.raises(wsstream.WebSocketError) as closed:
            await ws.closed
        assert closed.value.info == ending.value.info == ws.close_info
        assert (closed.value.close_code, closed.value.reason, closed.value.info.clean) == (1006, "", False)


@of_each
async def test_a_close_code_that_may_not_be_sent_is_refused(api, server):
    async with api.Stream(server + "/echo") as ws:
        with pytest.raises(wsstream.InvalidAccessError):
            ws.close(1001)
        with pytest.raises(wsstream.WebSocketSyntaxError):
            ws.close(1000, "x" * 124)
        await ws.writable.write("still here")
        assert await ws.readable.read() == "still here"


@of_each
async def test_a_bad_url_is_a_syntax_error(api, server):
    with pytest.raises(wsstream.WebSocketSyntaxError):
        api.Stream(server + "/echo#fragment")


@of_each
async def test_a_refused_upgrade_says_why(api, server):
    with pytest.raises(wsstream.WebSocketError) as refused:
        async with api.Stream(server + "/handshake?status=404&body=nothing%20here"):
            pass
    info = refused.value.info
    assert (info.http_status, info.cause, info.response_body) == (404, wsstream.Cause.HTTP, b"nothing here")


@of_each
async def test_a_server_that_is_not_there_is_told(api, server):
    with socket.socket() as taken:
        # Bound but not listening: nobody else gets the port, and nobody answers.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(wsstream.WebSocketError) as refused:
            async with api.Stream(f"ws://127.0.0.1:{taken.getsockname()[1]}/"):
                pass
    assert (refused.value.info.cause, refused.value.info.os_error) == (wsstream.Cause.SYSTEM, errno.ECONNREFUSED)


@of_each
async def test_an_opening_can_time_out(api, server):
    with pytest.raises(wsstream.WebSocketError) as late:
        async with api.Stream(server + "/handshake?stall=1", open_timeout=0.05):
            pass
    assert late.value.info.cause is wsstream.Cause.TIMEOUT


@of_each
async def test_an_opening_can_be_aborted(api, server):
    aborter = wsstream.Aborter()
    ws = api.Stream(server + "/handshake?stall=1", aborter=aborter)

    async def abort():
        aborter.abort()

    async def fails():
        with pytest.raises(wsstream.AbortError) as aborted:
            await ws.opened
        assert (aborted.value.close_code, aborted.value.info.clean) == (1006, False)

    await api.together(fails(), abort())
    with pytest.raises(wsstream.AbortError):
        await ws.closed


@of_each
async def test_the_server_picks_a_protocol(api, server):
    async with api.Stream(server + "/echo?protocol=second", protocols=["first", "second"]) as ws:
        assert ws.protocol == (await ws.opened).protocol == "second"


@of_each
async def test_request_headers_are_sent(api, server):
    async with api.Stream(server + "/request", headers={"X-Scenario": "yes"}) as ws:
        assert "X-Scenario: yes" in (await ws.readable.read()).split("\r\n")


@of_each
async def test_response_headers_are_known(api, server):
    async with api.Stream(server + "/handshake?header=X-Answer:%20forty-two") as ws:
        assert ws.response_headers("X-Answer") == ws.response_headers("x-ANSWER") == ["forty-two"]
        assert ws.response_headers("X-Other") == []


@of_each
async def test_a_slow_reader_slows_the_peer(api, server):
    path = "/count?n=0&size=65536&type=binary&close=none"
    async with api.Stream(server + path, read_buffer_size=65536) as ws:
        assert await ws.readable.read() == numbers(0, 65536)
        # As nobody reads, the wait takes its time and the library all that it may.
        with pytest.raises(api.TimeoutError):
            await api.closed_within(0.3, ws)
        assert ws.statistics.unread < 1 << 20
        assert ws.statistics.payload_received < 2 << 20
        ws.free()


@of_each
async def test_a_full_write_buffer_is_told(api, server):
    token, data, taken = unique("full"), b"x" * 65536, 0
    async with api.Stream(f"{server}/stall_until?token={token}&then=sink") as ws:
        with pytest.raises(api.TimeoutError):
            while True:
                await api.write_within(0.2, ws, data)
                taken += 1
        assert ws.statistics.messages_sent == taken > 0
        release(token)
        await ws.writable.write("the last")
        ws.close(1000)
        assert (await ws.closed).clean
        assert ws.statistics.unsent == 0


@of_each
async def test_pings_are_answered_unasked(api, server):
    async with api.Stream(server + "/ping?n=3&payload=p&close=1000") as ws:
        info = await ws.closed
        assert (info.code, info.clean) == (1000, True)
        assert ws.statistics.pings_received == 3


@of_each
async def test_compression_is_agreed_and_transparent(api, server):
    async with api.Stream(server + "/echo?deflate=1") as ws:
        assert "permessage-deflate" in ws.extensions
        await ws.writable.write("a" * 100_000)
        assert await ws.readable.read() == "a" * 100_000
        statistics = ws.statistics
        assert statistics.wire_sent + statistics.wire_received < 10_000


@of_each
async def test_without_compression_nothing_is_offered(api, server):
    async with api.Stream(server + "/request", deflate=False) as ws:
        assert "sec-websocket-extensions" not in (await ws.readable.read()).lower()
        assert ws.extensions == ""


@of_each
async def test_text_that_is_not_utf8_is_refused(api, server):
    async with api.Stream(server + "/echo") as ws:
        with pytest.raises(wsstream.ArgumentError):
            await ws.writable.write(b"\xff", text=True)
        await ws.writable.write("☃".encode(), text=True)
        assert await ws.readable.read() == "☃"


@of_each
async def test_reading_can_be_cancelled(api, server):
    async with api.Stream(server + "/echo") as ws:
        ws.readable.cancel(3003, "enough")
        assert await ws.readable.read() is None
        info = await ws.closed
        assert (info.clean, info.sent_code) == (True, 3003)


@of_each
async def test_writing_can_be_closed(api, server):
    async with api.Stream(server + "/echo") as ws:
        await ws.writable.write("last")
        await ws.writable.close()
        with pytest.raises(wsstream.InvalidStateError):
            await ws.writable.write("later")
        info = await ws.closed
        assert (info.clean, info.code, info.sent_code) == (True, 1005, 1005)


@of_each
async def test_a_wait_keeps_its_time(api, server):
    async with api.Stream(server + "/echo") as ws:
        with pytest.raises(api.TimeoutError):
            await api.read_within(0.02, ws)
        await ws.writable.write("x")
        assert await ws.readable.read() == "x"


@of_each
async def test_two_directions_at_once(api, server):
    async with api.Stream(server + "/echo") as ws:

        async def write():
            for index in range(1000):
                await ws.writable.write(str(index))

        async def read():
            return [await ws.readable.read() for _ in range(1000)]

        _, messages = await api.together(write(), read())
        assert messages == [str(index) for index in range(1000)]


@of_each
async def test_many_streams_at_once(api, server):
    async def talk(index):
        async with api.Stream(server + "/echo") as ws:
            await ws.writable.write(str(index))
            return await ws.readable.read()

    assert await api.together(*map(talk, range(50))) == [str(index) for index in range(50)]


@of_each
async def test_a_stream_can_be_freed_at_any_time(api, server):
    async with api.Stream(server + "/count?n=0&size=1000&close=none") as ws:
        for index in range(10):
            assert await ws.readable.read() == letters(index, 1000)
        ws.free()
        with pytest.raises(wsstream.InvalidStateError):
            await ws.readable.read()
    async with api.Stream(server + "/echo") as ws:
        await ws.writable.write("next")
        assert await ws.readable.read() == "next"


@of_each
async def test_what_was_written_precedes_the_close(api, server):
    async with api.Stream(server + "/verify?size=1000&type=binary") as ws:
        for index in range(100):
            await ws.writable.write(numbers(index, 1000))
        ws.close()
        info = await ws.closed
        assert (info.clean, info.reason) == (True, "100 messages")
