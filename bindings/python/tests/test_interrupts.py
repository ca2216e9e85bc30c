"""Ctrl-C interrupts whatever the blocking twin waits in, and loses nothing."""

import os
import subprocess
import sys
import textwrap

import pytest

# A process of its own, as a signal is for the whole of it. It is sent when the main thread sleeps in a system call, and not for
# the interpreter's lock: then it is in the call that is to be interrupted.
HEAD = """
    import os, pathlib, signal, sys, threading, time
    from wsstream.sync import WebSocketStream
    server = sys.argv[1]
    state = pathlib.Path(f"/proc/self/task/{os.getpid()}/syscall")
    FUTEX = {"x86_64": 202}.get(os.uname().machine, 98)

    def is_waiting():
        words = state.read_text().split()
        return words[0].isdigit() and int(words[0]) != FUTEX

    def interrupted(call, *arguments, after_s=0, then=lambda: None):
        def interrupt():
            time.sleep(after_s)
            while not is_waiting():
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)
            then()
        thread = threading.Thread(target=interrupt)
        try:
            thread.start()
            call(*arguments)
        except KeyboardInterrupt:
            thread.join()
        else:
            sys.exit("it was not interrupted")
"""
PROGRAMS = {
    "read": """
    with WebSocketStream(server + "/echo") as ws:
        interrupted(ws.readable.read)
        ws.writable.write("x")
        assert ws.readable.read() == "x"
    """,
    # Longer than a call of the library waits in one piece: the signal meets the wait on the descriptor.
    "long_read": """
    with WebSocketStream(server + "/echo") as ws:
        interrupted(ws.readable.read, after_s=0.2)
        ws.writable.write("x")
        assert ws.readable.read() == "x"
    """,
    # More milliseconds than the system waits in one piece.
    "read_with_a_timeout_of_a_year": """
    with WebSocketStream(server + "/echo") as ws:
        interrupted(ws.readable.read, 365 * 86400, after_s=0.2)
        ws.writable.write("x")
        assert ws.readable.read() == "x"
    """,
    # Then the call of the library ends with the message before the interpreter looks for signals.
    "read_with_a_message_in_the_same_moment": """
    with WebSocketStream(server + "/echo") as ws:
        for number in map(str, range(20)):
            interrupted(ws.readable.read, then=lambda: ws.writable.write(number))
            assert ws.readable.read() == number
    """,
    "iteration": """
    with WebSocketStream(server + "/echo") as ws:
        interrupted(next, ws.readable)
        ws.writable.write("x")
        assert next(ws.readable) == "x"
    """,
    "read_some": """
    with WebSocketStream(server + "/echo") as ws:
        interrupted(ws.readable.read_some, 10)
        ws.writable.write("x")
        assert ws.readable.read() == "x"
    """,
    "write": """
    from control import release, unique
    token, taken = unique("interrupt"), 0
    ws = WebSocketStream(f"{server}/stall_until?token={token}&then=sink")
    while True:
        try:
            ws.writable.write(b"x" * 65536, timeout=0.2)
        except TimeoutError:
            break
        taken += 1
    interrupted(ws.writable.write, "later")
    assert ws.statistics.messages_sent == taken
    release(token)
    ws.writable.write("later")
    ws.close()
    assert ws.closed().clean
    """,
    "open": """
    with WebSocketStream(server + "/echo") as other:
        interrupted(WebSocketStream(server + "/handshake?stall=1").__enter__)
        other.writable.write("x")
        assert other.readable.read() == "x"
    """,
    "close": """
    ws = WebSocketStream(server + "/close_reply?missing=1", close_timeout=0)
    ws.opened()
    ws.close()
    interrupted(ws.closed)
    ws.free()
    """,
    "writable_close": """
    ws = WebSocketStream(server + "/close_reply?missing=1", close_timeout=0)
    ws.opened()
    interrupted(ws.writable.close)
    ws.free()
    """,
    "a_handler_that_does_not_raise": """
    handled = []
    with WebSocketStream(server + "/echo") as ws:
        def handle(number, frame):
            handled.append(number)
            ws.writable.write("from the handler")
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert ws.readable.read() == "from the handler"
        assert handled == [signal.SIGALRM]
    """,
    "a_handler_that_waits_in_the_same_stream": """
    with WebSocketStream(server + "/echo") as ws:
        def handle(number, frame):
            try:
                ws.closed(timeout=0.1)
            except TimeoutError:
                ws.writable.write("from the handler")
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert ws.readable.read() == "from the handler"
    """,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_interrupt_ends_the_call_and_nothing_else(server, program):
    code = textwrap.dedent(HEAD) + textwrap.dedent(PROGRAMS[program])
    paths = [os.path.dirname(__file__), os.environ.get("PYTHONPATH")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, server], stderr=subprocess.PIPE, text=True, env=environment, timeout=40
    )
    assert (done.returncode, done.stderr) == (0, "")
