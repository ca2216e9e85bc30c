"""What the binding takes from the library: statuses, options, fields. And what it makes of wrong arguments."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
import wsstream
from shapes import of_each
from wsstream import _core, _errors, _options
from wsstream._constants import OPTIONS, Cause, Options, Status
from wsstream._native import ffi, lib

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_every_error_status_has_an_exception():
    errors = [status for status in Status if status < 0]
    assert set(_errors._CLASSES) == set(errors)
    for status in errors:
        error = _errors.error_of(status)
        assert isinstance(error, wsstream.WebSocketError)
        assert error.status == status


def test_an_unknown_error_counts_as_a_failed_connection():
    error = _errors.error_of(-1000)
    assert type(error) is wsstream.WebSocketError
    assert error.status is Status.ERR_CONNECTION


def test_an_unknown_word_of_a_later_version_has_its_number():
    assert Cause(1000) == 1000
    assert Cause(1000).name == "UNKNOWN_1000"


def test_every_counter_and_every_word_of_the_end_is_there():
    def fields(name):
        return [field for field, _ in ffi.typeof(name).fields]

    assert list(_core.Statistics.__dataclass_fields__) == fields("wsstream_statistics")
    wanted = {name for name in fields("wsstream_close_info") if name != "reserved" and not name.endswith("_size")}
    assert set(_errors.CloseInfo.__dataclass_fields__) == wanted


def test_every_option_is_a_keyword_that_the_library_takes(tmp_path):
    assert list(OPTIONS) == list(Options.__annotations__)
    refused = []
    for name, (_, sort) in OPTIONS.items():
        value = {"text": "ws://example.org", "seconds": 0.5, "number": 1}[sort]
        try:
            _options.make_options((), (), None, {name: value})
        except wsstream.WebSocketError as error:
            refused.append(name)
            assert name in str(error)
    assert refused == ["deflate_client_window_bits", "deflate_server_window_bits", "server_name", "ca_pem",
                       "client_certificate_pem", "client_key_pem", "proxy"]


def test_seconds_do_not_become_nothing():
    assert [_options.milliseconds(seconds) for seconds in (0, 0.0001, 0.05, 2)] == [0, 1, 50, 2000]


@of_each
async def test_wrong_arguments_are_refused(api, server):
    with pytest.raises(TypeError):
        api.Stream(server + "/echo", no_such_option=1)
    with pytest.raises(wsstream.ArgumentError, match="deflate_level"):
        api.Stream(server + "/echo", deflate_level=10)
    with pytest.raises(wsstream.ArgumentError, match="X y"):
        api.Stream(server + "/echo", headers=[("X y", "z")])
    with pytest.raises(wsstream.WebSocketSyntaxError, match="a b"):
        api.Stream(server + "/echo", protocols=["a b"])
    with pytest.raises(wsstream.UnsupportedError):
        api.Stream(server + "/echo", proxy="http://127.0.0.1:1")
    with pytest.raises(wsstream.ArgumentError):
        api.Stream(server + "/echo", max_message_size=2**63)
    async with api.Stream(server + "/echo") as ws:
        with pytest.raises(TypeError):
            await ws.writable.write(5)
        with pytest.raises(UnicodeEncodeError):
            await ws.writable.write("\ud800")
        with pytest.raises(wsstream.ArgumentError):
            ws.close(70_000)
        for count in (0, -1):
            with pytest.raises(ValueError):
                await ws.readable.read_some(count)
            with pytest.raises(ValueError):
                await ws.readable.read_many(count)
        await ws.writable.write("x")
        assert await ws.readable.read() == "x"


@of_each
async def test_many_messages_come_together_and_then_the_end(api, server):
    async with api.Stream(server + "/count?n=1000&size=3000&type=binary") as ws:
        read = []
        while messages := await ws.readable.read_many(100):
            assert len(messages) <= 100
            read += messages
        assert [message[0] for message in read] == [31 * index % 251 for index in range(1000)]
        assert {len(message) for message in read} == {3000}


@of_each
async def test_a_batch_of_any_mixture_keeps_order_and_types(api, server):
    messages = ["", b"", "plain", "☃", b"\xff" * 4096, "y" * 4097, b"z" * 70_000, "tail", b"tail", "ü" * 3000]
    async with api.Stream(server + "/echo") as ws:

        async def write():
            for message in messages * 5:
                await ws.writable.write(message, more=True)
            ws.writable.flush()

        async def read():
            return [await ws.readable.read() for _ in messages * 5]

        assert (await api.together(write(), read()))[1] == messages * 5


@of_each
async def test_a_message_of_a_batch_may_be_read_in_parts(api, server):
    async with api.Stream(server + "/count?n=20&size=10") as ws:
        assert await ws.readable.read() == "abcdefghij"
        chunk = await ws.readable.read_some(4)
        assert chunk == (b"bcde", True, False)
        with pytest.raises(wsstream.InvalidStateError):
            await ws.readable.read()
        assert await ws.readable.read_some(100) == (b"fghijk", True, True)
        assert await ws.readable.read() == "cdefghijkl"
        assert len([message async for message in ws.readable]) == 17


@of_each
async def test_cancelling_throws_a_batch_away(api, server):
    async with api.Stream(server + "/count?n=0&size=10&close=none") as ws:
        await ws.readable.read()
        ws.readable.cancel()
        assert await ws.readable.read() is None


@of_each
async def test_aborting_ends_writing(api, server):
    async with api.Stream(server + "/echo") as ws:
        ws.writable.abort(3001, "no more")
        with pytest.raises(wsstream.InvalidStateError):
            await ws.writable.write("x")
        assert (await ws.closed).code == 3001


def test_the_example_in_the_readme_does_what_it_says(server):
    text = (ROOT / "bindings" / "python" / "README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        code = example.replace("ws://127.0.0.1:9000", server)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, env=os.environ)
        assert (done.stdout, done.stderr) == ("hello\n1000 bye\n", "")


def test_the_package_carries_its_library():
    folder = pathlib.Path(wsstream.__file__).parent
    assert ffi.string(lib.wsstream_version()).decode() == wsstream.__version__
    with open("/proc/self/maps") as maps:
        loaded = {line.split(maxsplit=5)[5].strip() for line in maps if "libwsstream" in line}
    assert loaded == {str(path) for path in folder.glob("libwsstream.so.*")}


def test_the_example_holds_a_hundred_streams_in_one_loop(server):
    example = ROOT / "bindings" / "python" / "examples" / "event_loop.py"
    ran = subprocess.run([sys.executable, example, server + "/echo"], capture_output=True, text=True, timeout=60)
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert ran.stdout == "100 streams: 2000 messages, 2000 echoes, 100 closed cleanly\n"
