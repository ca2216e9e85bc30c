"""The web's WebSocketStream: a WebSocket client whose two halves are streams.

`WebSocketStream` is for asyncio; `wsstream.sync` has its blocking twin.
"""

from __future__ import annotations

from ._asyncio import Readable, WebSocketStream, Writable
from ._constants import Cause, Initiator, Options, Phase, Status
from ._core import Chunk, Message, Opened, Statistics
from ._errors import (
    AbortError,
    ArgumentError,
    BusyError,
    CloseInfo,
    ForkedError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    ResourceError,
    UnsupportedError,
    WebSocketError,
    WebSocketSyntaxError,
)
from ._native import ffi, lib
from ._options import Aborter

__all__ = [
    "AbortError",
    "Aborter",
    "ArgumentError",
    "BusyError",
    "Cause",
    "Chunk",
    "CloseInfo",
    "ForkedError",
    "Initiator",
    "InternalError",
    "InvalidAccessError",
    "InvalidStateError",
    "Message",
    "Opened",
    "Options",
    "Phase",
    "Readable",
    "ResourceError",
    "Statistics",
    "Status",
    "UnsupportedError",
    "WebSocketError",
    "WebSocketStream",
    "WebSocketSyntaxError",
    "Writable",
    "__version__",
]

#: The version of the library.
__version__: str = ffi.string(lib.wsstream_version()).decode()

if lib.wsstream_abi_version() >> 16 != lib.WSSTREAM_ABI_VERSION >> 16 or lib.wsstream_abi_version() < lib.WSSTREAM_ABI_VERSION:
    raise ImportError(
        f"libwsstream has the interface {lib.wsstream_abi_version():#010x}, but {lib.WSSTREAM_ABI_VERSION:#010x} is needed"
    )
