"""The process of the client under test, and the watch over it.

Owns start, deadlines and end of the process with all its children; knows no verdict.
Invariant: when `run` returns, no process of the testee is left.
"""

import os
import signal
import subprocess

from twisted.internet import reactor, task

POLL_S = 0.05
# After the testee has ended, the server's connections get this long to notice.
SETTLE_S = 5


class Testee:
    def __init__(self, command, server, deadline_s, stall_s):
        self.command = command
        self.server = server
        self.deadline_s = deadline_s
        self.stall_s = stall_s
        self.failure = None

    def run(self):
        """Runs the reactor until the testee has ended; the answer says what was wrong, or is None."""
        # The server is on this machine, where a proxy of the environment would not find it.
        environment = {**os.environ, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
        try:
            # A session of its own, so that its children can be ended with it.
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
        except OSError as error:
            return f"cannot start {self.command[0]}: {error.strerror}"
        self.started = self.server.last_received = reactor.seconds()
        self.ended = None
        watch = task.LoopingCall(self.watch)
        watch.start(POLL_S).addErrback(self.give_up)
        try:
            reactor.run()
        finally:
            self.kill()
        if self.failure is None and self.ended is None:
            self.failure = "killed: interrupted"
        return self.failure or self.exit_failure()

    def give_up(self, error):
        self.failure = f"the watch failed: {error.getErrorMessage()}"
        reactor.stop()

    def watch(self):
        now = reactor.seconds()
        if self.process.poll() is None:
            silent_s = now - self.server.last_received
            if now - self.started > self.deadline_s:
                self.end(f"not done after {self.deadline_s:g} s")
            elif silent_s > self.stall_s:
                self.end(f"silent for {self.stall_s:g} s")
            return
        self.ended = self.ended or now
        if not self.server.connections or now - self.ended > SETTLE_S:
            if reactor.running:
                reactor.stop()

    def end(self, reason):
        if self.failure is None:
            open_cases = ", ".join(self.server.open_cases()) or "none"
            self.failure = f"killed: {reason}; open cases: {open_cases}"
        self.kill()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Everything has ended; macOS says EPERM while the leader waits to be reaped.
            pass
        self.process.wait()

    def exit_failure(self):
        code = self.process.returncode
        if code < 0:
            return f"ended by signal {signal.Signals(-code).name}"
        if code > 0:
            return f"exit status {code}"
        if not self.server.is_report_requested:
            return "ended without asking for /updateReports"
        return None
