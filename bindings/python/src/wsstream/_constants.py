# Made by `cargo xtask python`; do not edit.
"""The numbers of the library and the keyword arguments of a stream."""

from __future__ import annotations

import enum
import os
from typing import Dict, Tuple, TypedDict, Union


class _Number(enum.IntEnum):
    """An enumeration in which later versions of the library may have more members."""

    @classmethod
    def _missing_(cls, value: object) -> _Number | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member


class Status(_Number):
    """The values of wsstream_status; they never change."""

    # The call did what it was asked to do.
    OK = 0
    # The readable side has ended; there is no further message.
    DONE = 1
    # Not yet: a read or write has taken nothing, what a wait waits for goes on.
    AGAIN = 2
    # The write was taken whole and is still on its way; never send it again.
    QUEUED = 3
    # An argument is NULL, unknown, out of range or not UTF-8.
    ERR_ARGUMENT = -1
    # The URL, the sub-protocol list or the close reason is not legal.
    ERR_SYNTAX = -2
    # The close code is one that may not be sent.
    ERR_ACCESS = -3
    # This half of the stream has ended, or the call does not fit its state now.
    ERR_STATE = -4
    # The opening was aborted.
    ERR_ABORTED = -5
    # The connection failed or ended uncleanly.
    ERR_CONNECTION = -6
    # Another call is in the same half of the stream.
    ERR_BUSY = -7
    # The stream is from before a fork.
    ERR_FORKED = -8
    # A call with a timeout other than 0 was made inside a callback.
    ERR_DEADLOCK = -9
    # Not in this build, or an unknown option number.
    ERR_UNSUPPORTED = -10
    # The system refused a thread, a descriptor or memory; nothing has changed.
    ERR_RESOURCE = -11
    # A bug in the library has ended this stream.
    ERR_INTERNAL = -99


class MessageType(_Number):
    """The type of a message."""

    # UTF-8 text.
    TEXT = 1
    # Bytes.
    BINARY = 2


class Flag(enum.IntFlag):
    """Flags of a message and its parts."""

    # The last part of its message.
    FIN = 1
    # More will be written soon: bytes may be held back for up to 5 ms.
    MORE = 2
    # Do not compress this message. In its first part, later it is ignored; with WSSTREAM_FIN for a whole one.
    NO_COMPRESS = 4


class Event(enum.IntFlag):
    """Events, combined with |. One holds when its call with timeout 0 would not answer AGAIN."""

    # wsstream_wait_opened has its answer.
    OPENED = 1
    # wsstream_read has a whole message, the end or an error.
    READABLE = 2
    # A write would have room, or meets the end of the half.
    WRITABLE = 4
    # wsstream_wait_closed has its answer.
    CLOSED = 8
    # Bytes of a message are here, the end or an error: for wsstream_read_some.
    READABLE_SOME = 16


class Initiator(_Number):
    """Who began the end of a connection."""

    # Nobody: it was never open.
    NONE = 0
    # This side sent its Close first.
    LOCAL = 1
    # The peer sent its Close first.
    REMOTE = 2
    # The transport ended without a Close.
    TRANSPORT = 3


class Phase(_Number):
    """Where a stream was when it ended."""

    # Before anything was started.
    START = 0
    # Resolving the host's name.
    RESOLVE = 1
    # Making the TCP connection.
    CONNECT = 2
    # Asking a proxy for the way.
    PROXY = 3
    # Making TLS.
    TLS = 4
    # Exchanging the opening handshake.
    HANDSHAKE = 5
    # Open.
    OPEN = 6
    # In the closing handshake.
    CLOSING = 7


class Cause(_Number):
    """Why a stream ended, for decisions."""

    # It ended cleanly.
    NONE = 0
    # It was given up from this side.
    ABORTED = 1
    # A time limit ran out.
    TIMEOUT = 2
    # The host's name has no address.
    NAME = 3
    # A system call failed; os_error says how.
    SYSTEM = 4
    # The proxy refused.
    PROXY = 5
    # The peer's certificate is not good.
    CERTIFICATE = 6
    # TLS failed otherwise.
    TLS = 7
    # The answer to the opening handshake was not an acceptance.
    HTTP = 8
    # The peer broke the protocol.
    PROTOCOL = 9
    # The peer sent text that is not UTF-8.
    UTF8 = 10
    # A message or a header was over its limit.
    TOO_BIG = 11
    # TCP ended without a Close.
    TRUNCATED = 12
    # The peer's Close came while a write was unfinished.
    UNSENT = 13
    # The system refused memory, a thread or a descriptor.
    RESOURCE = 14
    # A bug in the library.
    INTERNAL = 15


class Options(TypedDict, total=False):
    """What a stream can be opened with, as keyword arguments."""

    # Seconds from resolving to open, 0 or more; 0: no limit. Default 30.
    open_timeout: float
    # Seconds from the call of wsstream_close to the peer's Close, sending what was written included, 0 or more; then
    # the stream ends with code 1006, and what was not sent is lost; 0: no limit. Default 10.
    close_timeout: float
    # Seconds between pings of this side while the stream is open, 0 or more; 0: none are sent. Default 0.
    ping_interval: float
    # Seconds that the peer gets to show life after such a ping has left, 0 or more; any byte counts, and the time
    # stands still while reading is above READ_BUFFER_SIZE or data is unsent; then the stream ends with code 1006 and
    # Cause.TIMEOUT; 0: no limit. Default 20.
    pong_timeout: float
    # Bytes of one received message, after decompression, 0 or more; a longer one fails the connection with Close
    # 1009; 0: no limit. Default 67108864.
    max_message_size: int
    # Bytes of the answer to the opening handshake, 1 or more; it has at most 128 fields whatever this says. Default
    # 65536.
    max_header_size: int
    # Bytes received ahead of the reader, after decompression and with 64 for each message, 1 or more. What is decoded
    # last may go beyond it, and a message that a reader of whole messages waits for is received whole. Default
    # 262144.
    read_buffer_size: int
    # Bytes taken and not yet given to the system, after compression, up to which there is room for a further write, 0
    # or more. Default 65536.
    write_buffer_size: int
    # True: small messages leave at once; False: the system may gather them. Default True.
    tcp_nodelay: bool
    # Microseconds that a call may look again and again before it sleeps, up to 1000000; -1: 50; 0: none. It does so
    # only where the stream's last waits were that short, and never on one processor. Default -1.
    spin_us: int
    # True: offers permessage-deflate (RFC 7692), and where the server agrees messages are compressed;
    # wsstream_extensions tells what it agreed to. False: does not. Whoever can choose a part of what you send can
    # guess secrets that you send beside it from the compressed sizes: send those with compress=False. Default True.
    deflate: bool
    # How hard to compress: 1, fastest, to 9, smallest. Default 6.
    deflate_level: int
    # A message that is written in one piece of fewer bytes goes uncompressed, 0 or more; one in several parts is
    # compressed whatever its size. INT64_MAX: this side compresses nothing, the server still may. Default 128.
    deflate_threshold: int
    # Window of what this side compresses, 9 to 15 bits; a server may ask for a smaller one, and where it asks for 8
    # bits this side compresses nothing. Compressing takes 265 KB of memory with 12 bits, 380 KB with 15, given back
    # after a second without a compressed message. Default 12.
    deflate_client_window_bits: int
    # Window that the server may use, 8 to 15 bits. Below 15 a server that agrees to compression but not to this limit
    # fails the opening with Cause.HTTP. Decompressing takes 48 KB of memory and the window, from the first compressed
    # message to the end. Default 15.
    deflate_server_window_bits: int
    # True: this side keeps its window between messages; False: it does not. Default True.
    deflate_client_context_takeover: bool
    # True: the server may keep its window between messages. False: it is asked to begin each message anew, and one
    # that agrees to compression without that fails the opening with Cause.HTTP; then an idle stream keeps no
    # decompressor. Default True.
    deflate_server_context_takeover: bool
    # True: any certificate is taken, and then anybody can read and change what is sent; False: only good ones.
    # Default False.
    danger_accept_invalid_certificates: bool
    # The URL that relative ones are resolved against: absolute, ws, wss, http or https.
    base_url: Union[str, bytes]
    # The name, or address, that the server is asked for (SNI) and its certificate is checked for, instead of the
    # URL's host.
    server_name: Union[str, bytes]
    # Certificates in PEM, one behind the other, that are trusted in place of the system's roots. (Those are found as
    # the system's programs do; the environment variables SSL_CERT_FILE and SSL_CERT_DIR replace them.)
    ca_pem: Union[str, bytes]
    # This side's certificate in PEM, the chain above it behind it; only with CLIENT_KEY_PEM.
    client_certificate_pem: Union[str, bytes]
    # The private key of this side's certificate in PEM; only with CLIENT_CERTIFICATE_PEM.
    client_key_pem: Union[str, bytes]
    # Not in this version. The URL of a proxy; empty: none.
    proxy: Union[str, bytes]
    # The path of a Unix socket to connect to, instead of the URL's host and port.
    unix_socket: Union[str, os.PathLike[str]]


# The number of each option, and what its value is.
OPTIONS: Dict[str, Tuple[int, str]] = {
    "open_timeout": (1, "seconds"),
    "close_timeout": (2, "seconds"),
    "ping_interval": (3, "seconds"),
    "pong_timeout": (4, "seconds"),
    "max_message_size": (5, "number"),
    "max_header_size": (6, "number"),
    "read_buffer_size": (7, "number"),
    "write_buffer_size": (8, "number"),
    "tcp_nodelay": (9, "number"),
    "spin_us": (10, "number"),
    "deflate": (20, "number"),
    "deflate_level": (21, "number"),
    "deflate_threshold": (22, "number"),
    "deflate_client_window_bits": (23, "number"),
    "deflate_server_window_bits": (24, "number"),
    "deflate_client_context_takeover": (25, "number"),
    "deflate_server_context_takeover": (26, "number"),
    "danger_accept_invalid_certificates": (90, "number"),
    "base_url": (101, "text"),
    "server_name": (102, "text"),
    "ca_pem": (103, "text"),
    "client_certificate_pem": (104, "text"),
    "client_key_pem": (105, "text"),
    "proxy": (106, "text"),
    "unix_socket": (107, "text"),
}
