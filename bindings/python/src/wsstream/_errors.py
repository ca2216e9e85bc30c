"""How a stream ended, and the exceptions: one for each status that is an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Type

from ._constants import Cause, Initiator, Phase, Status
from ._native import ffi, lib


@dataclass(frozen=True)
class CloseInfo:
    """How a stream ended."""

    #: Of the peer's Close. 1005: it carried none; 1006: no Close was received.
    code: int
    #: The reason in the peer's Close.
    reason: str
    #: Whether both sides sent a Close and no write was unfinished. Never derive it from the code.
    clean: bool
    #: Who began the end.
    initiator: Initiator
    #: Where it ended.
    phase: Phase
    #: Why it ended, for decisions.
    cause: Cause
    #: errno of the system call that failed, else 0.
    os_error: int
    #: The HTTP status of an upgrade that failed, else 0; 101 where the server agreed to it and this side refused.
    http_status: int
    #: The code in the Close that was sent; 0: none was sent, 1005: it was sent without a code.
    sent_code: int
    #: One English sentence for a log, never for a decision.
    detail: str
    #: What had come of a refused upgrade's body, at most 4096 bytes.
    response_body: bytes


class WebSocketError(Exception):
    """The connection failed or ended uncleanly; the base of every exception of this package."""

    #: The status of the call.
    status: int
    #: How the stream ended; None where it goes on, or never began.
    info: Optional[CloseInfo]

    def __init__(self, message: str, status: int = Status.ERR_CONNECTION, info: Optional[CloseInfo] = None) -> None:
        super().__init__(message)
        self.status = status
        self.info = info

    @property
    def close_code(self) -> Optional[int]:
        """The code of the peer's Close, 1006 where none came; None while the stream has not ended."""
        return None if self.info is None else self.info.code

    @property
    def reason(self) -> str:
        """The reason in the peer's Close."""
        return "" if self.info is None else self.info.reason


class ArgumentError(WebSocketError, ValueError):
    """An argument is out of range, or text is not UTF-8. The stream goes on."""


class WebSocketSyntaxError(WebSocketError, ValueError):
    """The URL, the list of sub-protocols or the close reason is not legal: the web's SyntaxError."""


class InvalidAccessError(WebSocketError, ValueError):
    """The close code is one that may not be sent. The stream goes on."""


class InvalidStateError(WebSocketError):
    """This half of the stream has ended, the stream was freed, or the call does not fit its state now."""


class AbortError(WebSocketError):
    """The opening was given up by an `Aborter`."""


class BusyError(WebSocketError, RuntimeError):
    """Another call is in the same half of the stream."""


class ForkedError(WebSocketError, RuntimeError):
    """The stream is from before a fork."""


class UnsupportedError(WebSocketError, NotImplementedError):
    """The option is not in this version of the library."""


class ResourceError(WebSocketError):
    """The system refused a thread, a descriptor or memory; nothing has changed."""


class InternalError(WebSocketError):
    """A bug in the library has ended this stream."""


_CLASSES: Dict[int, Type[WebSocketError]] = {
    Status.ERR_ARGUMENT: ArgumentError,
    Status.ERR_SYNTAX: WebSocketSyntaxError,
    Status.ERR_ACCESS: InvalidAccessError,
    Status.ERR_STATE: InvalidStateError,
    Status.ERR_ABORTED: AbortError,
    Status.ERR_CONNECTION: WebSocketError,
    Status.ERR_BUSY: BusyError,
    Status.ERR_FORKED: ForkedError,
    # No callback of the library runs Python.
    Status.ERR_DEADLOCK: InternalError,
    Status.ERR_UNSUPPORTED: UnsupportedError,
    Status.ERR_RESOURCE: ResourceError,
    Status.ERR_INTERNAL: InternalError,
}
# Those that end a stream, whose close info says more.
_ENDINGS = (Status.ERR_CONNECTION, Status.ERR_ABORTED, Status.ERR_INTERNAL)


def error_of(status: int, info: Optional[CloseInfo] = None, what: str = "") -> WebSocketError:
    """The exception for a status that is an error; an unknown one counts as a failed connection."""
    text: str = ffi.string(lib.wsstream_status_text(status)).decode()
    if status not in _CLASSES:
        status = Status.ERR_CONNECTION
    if info is not None and status in _ENDINGS and info.detail:
        text = info.detail
    return _CLASSES[status](f"{what}: {text}" if what else text, Status(status), info)


def check(status: int, what: str = "") -> None:
    """Raises what a call answered, where no stream has ended by it."""
    if status < 0:
        raise error_of(status, None, what)


def ends_stream(status: int) -> bool:
    """Whether the status of a call has a close info behind it."""
    return status in _ENDINGS or status not in _CLASSES


def close_info(pointer: Any) -> CloseInfo:
    """Copies what the library says of an end. Import has made sure that the library knows every field."""
    return CloseInfo(
        code=pointer.code,
        reason=ffi.unpack(pointer.reason, pointer.reason_size).decode(),
        clean=bool(pointer.clean),
        initiator=Initiator(pointer.initiator),
        phase=Phase(pointer.phase),
        cause=Cause(pointer.cause),
        os_error=pointer.os_error,
        http_status=pointer.http_status,
        sent_code=pointer.sent_code,
        detail=ffi.unpack(pointer.detail, pointer.detail_size).decode(errors="replace"),
        response_body=ffi.unpack(pointer.response_body, pointer.response_body_size),
    )
