"""The fuzzing server: speaks each case to the client that asks for it and keeps the verdicts.

Owns what a case calls on its connection, and `/getCaseCount`, `/runCase`, `/updateReports`; knows
nothing of the client's process. Invariant: payloads are bytes on both sides of the `autobahn` library.
"""

import dataclasses
import json

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket import http
from twisted.internet import reactor

from cases import as_bytes


@dataclasses.dataclass(frozen=True)
class Verdict:
    behavior: str
    behavior_close: str
    detail: str
    detail_close: str
    remote_close_code: int | None
    # What the messages of the client were where compression was agreed: True, False or both.
    compressed: frozenset
    duration_ms: int


class FuzzingServer(WebSocketServerFactory):
    def __init__(self, cases):
        super().__init__()
        self.protocol = FuzzingConnection
        self.cases = cases
        self.ids = list(cases)
        self.verdicts = {}
        self.connections = set()
        self.is_report_requested = False
        self.last_received = reactor.seconds()
        # The frames sent are what case 10.1.1 counts.
        self.logFrames = True
        # The suite's own choice: an invalid frame is answered by a Close, not by the end of TCP.
        self.setProtocolOptions(failByDrop=False)

    def open_cases(self):
        return [connection.case_id for connection in self.connections if connection.case_id]


class FuzzingConnection(WebSocketServerProtocol):
    def __init__(self):
        super().__init__()
        self.case = self.case_id = None
        self.path = ""
        # What the cases read and write here beyond the library's own attributes.
        self.connectionWasOpen = False
        self.createWirelog = False
        self.txFrameStats = {}
        self.compressed = set()

    # The life of the connection.

    def connectionMade(self):
        super().connectionMade()
        self.factory.connections.add(self)

    def dataReceived(self, data):
        self.factory.last_received = reactor.seconds()
        super().dataReceived(data)

    def onConnect(self, request):
        self.path = request.path
        if self.path not in ("/getCaseCount", "/runCase", "/updateReports"):
            raise http.HttpException(http.NOT_FOUND[0], "no such command")
        if self.path == "/runCase":
            number = int(request.params.get("case", ["0"])[0])
            if not 1 <= number <= len(self.factory.ids):
                raise http.HttpException(http.NOT_FOUND[0], "no such case")
            self.case_id = self.factory.ids[number - 1]
            self.case = self.factory.cases[self.case_id](self)
            self.started = reactor.seconds()

    def onOpen(self):
        self.connectionWasOpen = True
        if self.case:
            self.case.onOpen()
            return
        if self.path == "/getCaseCount":
            self.sendMessage(json.dumps(len(self.factory.ids)))
        else:
            self.factory.is_report_requested = True
        self.sendClose()

    def onMessage(self, payload, isBinary):
        if self._perMessageCompress:
            self.compressed.add(self._isMessageCompressed)
        if self.case:
            self.case.onMessage(payload, isBinary)

    def onPing(self, payload):
        super().onPing(payload)
        if self.case:
            self.case.onPing(payload)

    def onPong(self, payload):
        super().onPong(payload)
        if self.case:
            self.case.onPong(payload)

    def onClose(self, wasClean, code, reason):
        if self.case:
            self.case.onClose(wasClean, code, reason)

    def connectionLost(self, reason):
        super().connectionLost(reason)
        self.factory.connections.discard(self)
        if self.case:
            self.case.onConnectionLost(self.failedByMe)
            self.factory.verdicts[self.case_id] = Verdict(
                self.case.behavior,
                self.case.behaviorClose,
                self.case.result,
                self.case.resultClose,
                self.remoteCloseCode,
                frozenset(self.compressed),
                round(1000 * (reactor.seconds() - self.started)),
            )

    # What the cases call: the library's methods, given text where Python 2 had bytes.

    def sendFrame(self, opcode, payload=b"", payload_len=None, **options):
        payload = as_bytes(payload)
        if payload_len is not None:
            # The library means to repeat the payload up to this size, but divides to a float.
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        super().sendFrame(opcode, payload, **options)

    def sendMessage(self, payload, isBinary=False, **options):
        super().sendMessage(as_bytes(payload), isBinary, **options)

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(as_bytes(payload), sync)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, as_bytes(reasonUtf8), isReply)

    def continueLater(self, delay, action, tag=None):
        self.unless_closed_after(delay, action)

    def killAfter(self, delay):
        self.unless_closed_after(delay, self.failConnection)

    def closeAfter(self, delay):
        self.unless_closed_after(delay, self.sendClose)

    def unless_closed_after(self, delay, action):
        reactor.callLater(delay, lambda: self.state == self.STATE_CLOSED or action())

    def enableWirelog(self, _is_enabled):
        pass

    # What the library calls because of `logFrames`.

    def logTxFrame(self, header, payload, repeat_size, chop_size, sync):
        self.txFrameStats[header.opcode] = self.txFrameStats.get(header.opcode, 0) + 1

    def logRxFrame(self, header, payload):
        pass
