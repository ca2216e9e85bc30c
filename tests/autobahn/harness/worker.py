"""One server, one client and the cases they play, in a process of their own.

Owns what a process has once: the reactor, its error log, the replacements in the library. Knows neither the
committed results nor the other workers. Invariant: a worker answers for each of its cases, or says what was wrong.
"""

import multiprocessing
import sys

from twisted.internet import reactor
from twisted.python import log

import speed
from cases import load_cases
from server import FuzzingServer
from testee import Testee


class Worker:
    def __init__(self, ids, command, deadline_s, stall_s):
        # Not forked: the reactor's descriptors cannot be shared.
        context = multiprocessing.get_context("spawn")
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=play, args=(sender, ids, command, deadline_s, stall_s))
        self.process.start()
        sender.close()

    def result(self):
        """The verdicts by id, and what was wrong with the run or None."""
        try:
            return self.receiver.recv()
        except EOFError:
            return {}, "lost: its server ended"
        finally:
            self.process.join()

    def end(self):
        # The reactor takes this as the wish to stop, and ends the testee.
        self.process.terminate()
        self.process.join()


def play(sender, ids, command, deadline_s, stall_s):
    log.addObserver(print_error)
    speed.install()
    cases = load_cases()
    server = FuzzingServer({case_id: cases[case_id] for case_id in ids})
    port = reactor.listenTCP(0, server, interface="127.0.0.1").getHost().port
    failure = Testee([*command, f"ws://127.0.0.1:{port}"], server, deadline_s, stall_s).run()
    sender.send((server.verdicts, failure))


def print_error(event):
    if event["isError"]:
        print("autobahn: error in the server:", log.textFromEventDict(event), file=sys.stderr, flush=True)
