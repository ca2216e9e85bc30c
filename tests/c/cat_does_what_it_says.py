#!/usr/bin/env python3
"""wsstream-cat does what its manual page says: lines, bytes and files both ways, ends, signals and exit statuses.

    cat_does_what_it_says.py PROGRAM MANUAL_PAGE
"""

import fcntl
import filecmp
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request

SERVER = os.environ["WSSTREAM_TEST_URL"]
PLAIN = os.environ["WSSTREAM_TEST_WS_URL"].replace("ws:", "http:")
IS_SECURE = SERVER.startswith("wss:")
# A sanitizer makes everything many times slower, and memory is not judged under one.
IS_SANITIZED = "ASAN_OPTIONS" in os.environ or "TSAN_OPTIONS" in os.environ
if "TSAN_OPTIONS" in os.environ:
    # Else each of many runs sleeps a second before it exits.
    os.environ["TSAN_OPTIONS"] += ":atexit_sleep_ms=0"
MIB = 1 << 20
FILE_SIZE = 4 * MIB if IS_SANITIZED else 16 * MIB if IS_SECURE else 64 * MIB
RESIDENT_MAX = 40 * MIB
TIMEOUT_S = 100
# Does not wait long behind the input: the pong comes behind what /echo answers.
SOON = ("--linger", "0", "--ping", "0.05")
CLEAN = 'closed 1000 "", clean\n'
program, manual_page = sys.argv[1:]
words = 0


def fail(text):
    raise AssertionError(text)


def expect(expected, actual):
    if actual != expected:
        fail(f"{actual!r:.2000}\n-- not what was expected:\n{expected!r:.2000}")


def fresh_word():
    global words
    words += 1
    return f"cat{os.getpid()}-{words}"


def ask(target):
    with urllib.request.urlopen(PLAIN + target, timeout=TIMEOUT_S) as answer:
        return answer.read().decode()


def run(*arguments, given=b"", status=0, environment=None):
    """What it writes to its two outputs. With None any status will do."""
    done = subprocess.run([program, *arguments], input=given, capture_output=True, timeout=TIMEOUT_S, env=environment)
    if status is not None and done.returncode != status:
        fail(f"{arguments}: exit status {done.returncode}, not {status}\n{done.stdout[:2000]}\n{done.stderr.decode()}")
    return done.stdout, done.stderr.decode()


def heed_signals():
    """A test in the background of a shell ignores SIGINT, and so would the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments, **streams):
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([program, *arguments], **{"preexec_fn": heed_signals, **pipes, **streams})


def expect_end(child, status):
    """Waits for it; answers the most memory it had, in bytes."""
    _, waited, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(waited)
    expect(status, child.returncode)
    return usage.ru_maxrss * 1024


def expect_bounded(resident):
    if not IS_SANITIZED and resident > RESIDENT_MAX:
        fail(f"{resident} bytes were resident")


def write_random(path, size):
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))


def lines_come_back_as_lines():
    expect((b"hi\n", CLEAN), run(SERVER + "/echo", given=b"hi\n"))
    for given, received in ((b"", b""), (b"\n\nlast without an end", b"\n\nlast without an end\n")):
        expect((received, CLEAN), run(*SOON, SERVER + "/echo", given=given))
    many = b"".join(b"%d\n" % number for number in range(2000 if IS_SANITIZED else 20000))
    expect((many, CLEAN), run(*SOON, SERVER + "/echo?deflate=1", given=many))
    long = "é".encode() * 200000 + b"\nshort\n"
    expect((long, CLEAN), run(*SOON, SERVER + "/echo", given=long))


def a_line_that_cannot_be_sent_is_told_and_left_out():
    told = "wsstream-cat: line {} and is not sent\n"
    said = run(*SOON, SERVER + "/echo", given=b"a\n\xff\nb \xc3\nc\n", status=5)
    expect((b"a\nc\n", told.format("2 is not UTF-8") + told.format("3 is not UTF-8") + CLEAN), said)
    for size in (11, 100, 300000):
        said = run(*SOON, "--max-line", "10", SERVER + "/echo", given=b"0123456789\n" + b"x" * size + b"\nc\n", status=5)
        expect((b"0123456789\nc\n", told.format("2 is too long (--max-line)") + CLEAN), said)


def bytes_come_back_as_bytes():
    given = bytes(range(256)) * 1000 + b"\n"
    expect((given, CLEAN), run(*SOON, "-b", SERVER + "/echo", given=given))
    word = fresh_word()
    run(*SOON, "--binary=1000", f"{SERVER}/echo?id={word}", given=bytes(2500))
    sizes = [int(size) for size in re.findall(r"^(?:binary|continuation) .* size=(\d+)", ask(f"/record/{word}"), re.M)]
    expect(2500, sum(sizes))
    expect(3, len(re.findall("^binary ", ask(f"/record/{word}"), re.M)))
    # Text is written as it is, too.
    expect((b"abcbcd", CLEAN), run("-b", SERVER + "/count?n=2&size=3"))


def one_message_is_enough():
    expect((b"a\n", CLEAN), run("-1", "--linger", "0", SERVER + "/echo", given=b"a\nb\nc\n"))
    expect((b"abc\n", CLEAN), run("--one", SERVER + "/count?n=0&size=3&close=none"))
    said = run("-1", SERVER + "/close", status=5)
    expect((b"", 'closed 1005 "", clean\nwsstream-cat: no message came\n'), said)


def the_end_of_the_input_waits_as_told():
    # The server answers late, and closes by itself.
    answer = f"{SERVER}/close?code=1000&after=1&echo=1"
    expect((b"a\n", CLEAN), run("--linger", "forever", answer, given=b"a\n"))
    # Without time to linger the pong is still waited for.
    expect((b"a\n", CLEAN), run("--linger", "0", SERVER + "/echo", given=b"a\n"))
    expect((b"", CLEAN), run("--linger", "0", "--ping", "0", SERVER + "/echo"))
    # Less than a millisecond is not never.
    expect((b"a\n", CLEAN), run("--linger", "0", "--ping", "0.0004", SERVER + "/echo", given=b"a\n"))


def code_and_reason_are_shown():
    for path, code, reason in (("?code=1000&reason=bye", 1000, "bye"), ("?code=1001", 1001, ""), ("", 1005, "")):
        expect((b"", f'closed {code} "{reason}", clean\n'), run(SERVER + "/close" + path))
        expect((b"", ""), run("-q", SERVER + "/close" + path))
    said = run(SERVER + "/close?code=3001&reason=%1b%5b31m%c2%9b%c3%a9", status=4)
    expect((b"", 'closed 3001 "\\x1b[31m\\xc2\\x9bé", clean\n'), said)
    expect((b"", 'closed 4001 "", clean\n'), run("-q", SERVER + "/close?code=4001", status=4))
    for ours in ("3002:done", "3002", "1000:a:b"):
        code, _, reason = ours.partition(":")
        expect((b"", f'closed {code} "{reason}", clean\n'), run(*SOON, "-c", ours, SERVER + "/echo"))


def what_is_not_opened_says_why():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        said = run(f"ws://127.0.0.1:{taken.getsockname()[1]}", status=2)
    expect("wsstream-cat: not opened: ", said[1][:26])
    run("ws://no.such.host.invalid/", status=2)
    for seconds in ("0.05", "0.0004"):
        run("--timeout", seconds, SERVER + "/handshake?stall=1", status=2)
    said = run("-v", SERVER + "/handshake?status=404&body=nothing%20here", status=2)
    if "404" not in said[1] or '\n"nothing here"\n' not in said[1]:
        fail(said[1])


def no_terminal_obeys_what_is_said():
    kept = "é€🙂\u00a0 "
    # No characters: C1 alone, cut, too long a form, a surrogate, behind the last one. The last is cut by the end.
    other = b"\x1b\x7f\x9b|\xc2\x80\xc2\x9b\xc2|\xe0\x9f\xbf|\xed\xa0\x80|\xf0\x8f\xbf\xbf|\xf4\x90\x80\x80|\xc0\x9b\xf5\xff|\xe2\x82"
    shown = kept + "".join(chr(byte) if byte == ord("|") else f"\\x{byte:02x}" for byte in other)
    body = kept.encode() + other
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    said = run("-v", f"{SERVER}/handshake?garbage={refusal.hex()}", status=2)[1]
    if f'\n"{shown}"\n' not in said:
        fail(said)
    for before in ("", "x" * 480, "x" * 2000):
        said = run(*SOON, "-v", f"{SERVER}/handshake?header=Server:{before}%c3%a9%c2%9b")[1]
        if f"wsstream-cat: Server: {before}é\\xc2\\x9b\n" not in said:
            fail(said)
    expect("wsstream-cat: \\x1b[31m: not a URL of ws or wss\n", run("\x1b[31m", status=1)[1])


def an_unclean_end_is_3():
    said = run(SERVER + "/abrupt", status=3)
    if not re.fullmatch(r'closed 1006 "", not clean: .+\.\n', said[1]):
        fail(said[1])
    expect("closed 1006", run("-q", SERVER + "/abrupt", status=3)[1][:11])
    run("--receive", os.devnull, SERVER + "/abrupt", status=3)


def wrong_arguments_are_1():
    url = SERVER + "/echo"
    wrong = ([], [url, url], ["no URL"], ["--what", url], ["-c", "1001", url], ["-c", "1000 x", url], ["-c", "x", url],
             ["-c", "1000:" + "r" * 124, url], ["-H", "no field", url], ["-H", "Host: x", url], ["-p", "a b", url],
             ["-p", "a", "-p", "a", url], ["--linger", "soon", url], ["--timeout", "-1", url], ["--ping", "1x", url],
             ["--binary=0", url], ["--max-line", "1k", url], ["--text", url], ["--ca", "/nowhere", url],
             ["--ca", os.devnull, url], ["--cert", os.environ["WSSTREAM_TEST_CLIENT_CERTIFICATE"], url],
             ["--send", "/nowhere", url], ["--send", "/", url], ["--receive", "/nowhere/file", url], ["--help=x", url])
    for arguments in wrong:
        said = run(*arguments, status=1)
        expect((b"", True), (said[0], bool(said[1])))


def the_request_is_as_told():
    said = run("-1", "-H", "X-One: 1", "-H", "x-two:  a b", "--no-compress", SERVER + "/request")[0].decode()
    if "\nX-One: 1\r\n" not in said or "\nx-two: a b" not in said or "Extensions" in said or "Protocol" in said:
        fail(said)
    said = run("-1", "-p", "first", "-p", "second", SERVER + "/request")[0].decode()
    if "Sec-WebSocket-Protocol: first, second\r\n" not in said or "permessage-deflate" not in said:
        fail(said)
    said = run(*SOON, "-v", SERVER + "/handshake?deflate=1&header=Server:%20it&end=close", given=b"\n")[1]
    if "wsstream-cat: Server: it\n" not in said or "wsstream-cat: Sec-WebSocket-Extensions: permessage-deflate" not in said:
        fail(said)
    if "sent Close 1000" not in run(*SOON, "-vv", SERVER + "/echo")[1]:
        fail("-vv does not tell each step")


def a_unix_socket_and_tls_are_reached():
    path = os.environ["WSSTREAM_TEST_UNIX"]
    expect((b"a\n", CLEAN), run("-1", "--unix", path, "ws://localhost/echo", given=b"a\n"))
    if not IS_SECURE:
        return
    untrusting = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    ca, url = os.environ["WSSTREAM_TEST_CA"], SERVER + "/tls"
    run(url, status=2, environment=untrusting)
    run("-1", "--ca", ca, url, environment=untrusting)
    run("-1", "--insecure", url, environment=untrusting)
    client = ("-1", "--server-name", "client.test", url)
    run(*client, status=2)
    pair = [os.environ["WSSTREAM_TEST_CLIENT_" + part] for part in ("CERTIFICATE", "KEY")]
    if b" client=-" in run("--cert", pair[0], "--key", pair[1], *client)[0]:
        fail("the certificate is not shown")


def a_large_file_goes_both_ways_in_bounded_memory():
    with tempfile.TemporaryDirectory() as folder:
        given, received = f"{folder}/given", f"{folder}/received"
        write_random(given, FILE_SIZE)
        child = start("--send", given, "--receive", received, SERVER + "/echo", stdin=subprocess.DEVNULL)
        said = child.stderr.read().decode()
        expect_bounded(expect_end(child, 0))
        # Nothing of the progress, where standard error is no terminal.
        expect((CLEAN, True), (said, filecmp.cmp(given, received, shallow=False)))
        os.truncate(given, FILE_SIZE // 4)
        with open(given, "rb") as source, open(received, "wb") as target:
            child = start(*SOON, "-b", SERVER + "/echo", stdin=source, stdout=target)
            expect_bounded(expect_end(child, 0))
        expect(True, filecmp.cmp(given, received, shallow=False))


def a_file_is_one_message():
    with tempfile.TemporaryDirectory() as folder:
        given = pathlib.Path(folder, "given")
        for text in (b"", b"two\nlines\n", "é".encode() * 100000):
            given.write_bytes(text)
            word = fresh_word()
            said = run("--send", str(given), "--text", "--receive", "-", f"{SERVER}/echo?id={word}")
            expect((text, CLEAN), said)
            expect(1, len(re.findall("^text ", ask(f"/record/{word}"), re.M)))
            expect((text, CLEAN), run("--send", "-", "--receive", "-", SERVER + "/echo", given=text))
        kept = pathlib.Path(folder, "kept")
        kept.write_bytes(b"what it had")
        run("--receive", str(kept), "ws://127.0.0.1:1", status=2)
        expect(b"what it had", kept.read_bytes())
        run("--receive", str(kept), SERVER + "/count?n=1&size=3")
        expect(b"abc", kept.read_bytes())
        # The server closes before it has read all.
        write_random(given, 4 * MIB)
        said = run("--send", str(given), f"{SERVER}/close?code=1000", status=None)
        if f"wsstream-cat: {given} is not sent to its end\n" not in said[1]:
            fail(said[1])
        given.write_bytes(b"good" * 100000 + b"\xff")
        said = run(*SOON, "--send", str(given), "--text", SERVER + "/echo", status=5)
        expect((b"", f"wsstream-cat: {given} is not UTF-8 and is not sent to its end\n{CLEAN}"), said)


def an_output_that_nobody_reads_slows_the_server():
    child = start(SERVER + "/count?n=0&size=65536&type=text&close=none")
    expect(65537, len(child.stdout.read(65537)))
    # The longer, the more an unbounded one would hold.
    time.sleep(0.5)
    # And then its reader goes.
    child.stdout.close()
    said = child.stderr.read().decode()
    expect_bounded(expect_end(child, 0))
    expect(CLEAN, said)


def an_output_that_is_full_is_5():
    with open("/dev/full", "wb") as full:
        child = start(SERVER + "/count?n=0&close=none", stdout=full)
        said = child.stderr.read().decode()
        expect_end(child, 5)
    expect("wsstream-cat: standard output: No space left on device\n" + CLEAN, said)


def a_file_that_keeps_what_it_had_is_5():
    file = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.write(file, b"what it had")
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    path = f"/proc/{os.getpid()}/fd/{file}"
    said = run("--receive", path, SERVER + "/count?n=1&size=3", status=5)
    expect((b"", f"wsstream-cat: {path}: Operation not permitted\n{CLEAN}"), said)
    expect(b"what it had", os.pread(file, 100, 0))
    os.close(file)


def a_reader_that_goes_ends_it_though_nothing_comes():
    child = start(SERVER + "/echo")
    child.stdin.write(b"a\n")
    child.stdin.flush()
    expect(b"a\n", child.stdout.readline())
    child.stdout.close()
    expect(CLEAN, child.stderr.read().decode())
    expect_end(child, 0)


def a_signal_closes_and_a_second_one_ends_at_once():
    for number in (signal.SIGINT, signal.SIGTERM):
        child = start("-c", "3003:by a signal", SERVER + "/echo")
        child.stdin.write(b"a\n")
        child.stdin.flush()
        expect(b"a\n", child.stdout.readline())
        child.send_signal(number)
        expect('closed 3003 "by a signal", clean\n', child.stderr.read().decode())
        expect_end(child, 128 + number)
    word = fresh_word()
    child = start(f"{SERVER}/close_reply?missing=1&id={word}")
    child.stdin.write(b"a\n")
    child.stdin.flush()
    expect(b"a\n", child.stdout.readline())
    child.send_signal(signal.SIGINT)
    while " code=1000 " not in ask(f"/record/{word}?frames=2&wait_ms=30000"):
        continue
    child.send_signal(signal.SIGINT)
    # No time to tell how it ended.
    expect("", child.stderr.read().decode())
    expect_end(child, 130)
    child = start(SERVER + "/count?n=0&size=65536&close=none")
    child.stdout.read(1)
    child.send_signal(signal.SIGINT)
    expect(CLEAN, child.stderr.read().decode())
    expect_end(child, 130)
    # One that was ignored before stays so.
    child = start("--linger", "0", SERVER + "/echo", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    for line in (b"a\n", b"b\n"):
        child.stdin.write(line)
        child.stdin.flush()
        expect(line, child.stdout.readline())
        child.send_signal(signal.SIGINT)
    child.stdin.close()
    expect_end(child, 0)
    child = start("-v", SERVER + "/handshake?stall=1")
    expect(True, b"opening" in child.stderr.readline())
    child.send_signal(signal.SIGINT)
    expect_end(child, 130)


def read_until(terminal, end):
    said = b""
    while not said.endswith(end):
        try:
            said += os.read(terminal, 4096)
        except OSError:
            fail(f"the terminal has gone behind {said!r}")
    return said


def a_terminal_talks_line_by_line():
    ours, its = pty.openpty()
    modes = termios.tcgetattr(its)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(its, termios.TCSANOW, modes)
    child = start(*SOON, SERVER + "/echo", stdin=its, stdout=its, stderr=its)
    for line in (b"hello", b"", "grüß dich".encode()):
        os.write(ours, line + b"\n")
        expect(line + b"\r\n", read_until(ours, b"\n"))
    os.write(ours, b"\x04")
    expect(CLEAN.replace("\n", "\r\n").encode(), read_until(ours, b"\n"))
    expect_end(child, 0)
    os.close(ours)
    os.close(its)


def a_terminal_is_shown_the_progress():
    with tempfile.TemporaryDirectory() as folder:
        write_random(f"{folder}/given", 2 * MIB)
        for arguments, forms in (
            (["--send", f"{folder}/given"], [r"\rsent 2\.0 MiB of 2\.0 MiB \(100 %\), [\d.]+ .?i?B/s"]),
            (["--send", f"{folder}/given", "--receive", f"{folder}/received"],
             [r"; received 2\.0 MiB, [\d.]+ .?i?B/s\x1b\[K\r\n"]),
            (["-q", "--send", f"{folder}/given"], []),
        ):
            ours, its = pty.openpty()
            child = start(*SOON, *arguments, SERVER + "/echo", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its)
            os.close(its)
            said = b""
            try:
                while part := os.read(ours, 4096):
                    said += part
            except OSError:
                os.close(ours)
            expect_end(child, 0)
            for form in forms:
                if not re.search(form, said.decode()):
                    fail(f"{arguments}: {said}")
            expect(bool(forms), bool(said))


def closed_descriptors_are_taken_for_nothing():
    script = 'exec "$0" -1 "$1" <&- >&- 2>&-'
    expect(0, subprocess.run(["sh", "-c", script, program, SERVER + "/count?n=1"], timeout=TIMEOUT_S).returncode)


def the_manual_page_has_the_options_of_help():
    said, _ = run("--help")
    page = pathlib.Path(manual_page).read_text()
    told = set(re.findall(r"--([a-z-]+)", said.decode()))
    written = set(re.findall(r"Fl -([a-z-]+)", page))
    expect(set(), told ^ written)
    expect(b"wsstream-cat ", run("--version")[0][:13])


claims = (lines_come_back_as_lines, a_line_that_cannot_be_sent_is_told_and_left_out, bytes_come_back_as_bytes,
          one_message_is_enough, the_end_of_the_input_waits_as_told, code_and_reason_are_shown, what_is_not_opened_says_why,
          no_terminal_obeys_what_is_said, an_unclean_end_is_3, wrong_arguments_are_1, the_request_is_as_told,
          a_unix_socket_and_tls_are_reached, a_large_file_goes_both_ways_in_bounded_memory, a_file_is_one_message,
          an_output_that_nobody_reads_slows_the_server, an_output_that_is_full_is_5, a_file_that_keeps_what_it_had_is_5,
          a_reader_that_goes_ends_it_though_nothing_comes, a_signal_closes_and_a_second_one_ends_at_once,
          a_terminal_talks_line_by_line, a_terminal_is_shown_the_progress, closed_descriptors_are_taken_for_nothing,
          the_manual_page_has_the_options_of_help)
for claim in claims:
    begin = time.monotonic()
    try:
        claim()
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"{claim.__name__}: {error}")
    print(f"ok {claim.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
