//! The one table of routes and parameters: requests are held against it, the help and the README
//! are written from it.

use crate::behaviour::answer::Answer;
use crate::behaviour::closing::{Abrupt, Close, CloseReply};
use crate::behaviour::echo::{self, Echo, Sink};
use crate::behaviour::flood::Flood;
use crate::behaviour::ping::Ping;
use crate::behaviour::raw::Raw;
use crate::behaviour::stall::{Stall, StallUntil};
use crate::behaviour::verify::Verify;
use crate::behaviour::{Made, Setting, compressed, count};
use crate::connection::{answer_help, answer_record, answer_release};
use crate::host::HOSTS;
use crate::query::Refusal;
use std::fmt::Write;

/// One parameter of a query.
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub value: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Whether it may be given more than once.
    pub repeats: bool,
}

/// What a route does.
#[derive(Clone, Copy)]
pub enum Action {
    /// Shakes hands and behaves so.
    Behave(fn(&Setting) -> Made),
    /// Shakes hands as the parameters say, then echoes.
    Handshake,
    /// Answers a plain HTTP request.
    Control(fn(&Setting) -> Result<String, Refusal>),
}

/// One path.
pub struct Route {
    /// The path; a word in capitals stands for any text.
    pub path: &'static str,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// Its parameters, in groups that routes share.
    pub groups: &'static [&'static [Parameter]],
    /// What carries it out.
    pub action: Action,
}

const fn parameter(name: &'static str, value: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, value, meaning, repeats: false }
}

const fn repeated(name: &'static str, value: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, value, meaning, repeats: true }
}

/// Parameters of every WebSocket route.
pub static COMMON: &[Parameter] = &[
    parameter("id", "ID", "records the connection for /record/ID; the newest of an id counts"),
    parameter(
        "protocol",
        "NAME|missing|double",
        "the sub-protocol answered, offered or not; default: the first offered",
    ),
    parameter("receive_buffer", "BYTES", "SO_RCVBUF of the server's socket"),
    parameter("send_buffer", "BYTES", "SO_SNDBUF of the server's socket"),
    parameter(
        "deflate",
        "0|1",
        "1 = accepts an offer of permessage-deflate with all that it asks for, and compresses each message it makes; default 0",
    ),
    parameter("server_no_context_takeover", "0|1", "with deflate: 1 = answers so, asked or not"),
    parameter("client_no_context_takeover", "0|1", "with deflate: 1 = answers so, asked or not"),
    parameter("server_max_window_bits", "BITS", "with deflate: answers so, 8 to 15, whatever was asked for"),
    parameter("client_max_window_bits", "BITS", "with deflate: answers so, 8 to 15, whatever was asked for"),
];

static ENDING: &[Parameter] = &[
    parameter(
        "end",
        "fin|close|reset|stall|never",
        "how TCP ends: fin = FIN, then read until the client's end (10 s at most); close = close the socket at once; reset = RST; stall = stay open, read nothing; never = stay open, read until the client's end. Default fin",
    ),
    parameter("end_delay_ms", "MS", "reads on for so long before TCP is ended; default 0"),
];

static CLOSE_BODY: &[Parameter] = &[
    parameter(
        "code",
        "CODE|none",
        "any 16-bit close code; none = an empty body, or the reason's bytes alone",
    ),
    parameter("reason", "TEXT", "the close reason, of any length"),
    parameter("reason_hex", "HEX", "the same as raw bytes"),
];

static AFTER: &[Parameter] = &[
    parameter("after", "N", "begins after N received messages; default 0 = at once"),
    parameter("echo", "0|1", "echoes the messages counted by after; default 0 = swallows them"),
];

static PACE: &[Parameter] = &[
    parameter("bytes", "N", "the size of a piece; default 1"),
    parameter("tick_ms", "MS", "the pause between two pieces; default 1"),
];

static THEN: &[Parameter] = &[parameter("then", "sink|echo", "what it does afterwards; default sink")];

static COUNT: &[Parameter] = &[
    parameter("n", "N", "how many messages; 0 = until the client leaves or closes; default 100"),
    parameter("size", "BYTES", "the size of each; default 16"),
    parameter("type", "text|binary", "default text"),
    parameter("frame", "BYTES", "fragments messages into frames of this size"),
    parameter("wait", "0|1", "1 = starts at the client's first message; default 0"),
    parameter("seconds", "S", "stops after so long; n is then 0 unless given"),
    parameter("close", "CODE|none", "the Close behind the messages; none = stays open; default 1000"),
];

static HANDSHAKE: &[Parameter] = &[
    parameter("status", "CODE", "the status; other than 101 the connection then ends; default 101"),
    parameter("body", "TEXT", "a response body, with its Content-Length"),
    parameter("length", "N|missing", "the Content-Length instead of the right one"),
    repeated("header", "NAME:VALUE", "a further header line"),
    parameter("accept", "VALUE|wrong|missing|double", "the Sec-WebSocket-Accept"),
    parameter("upgrade", "VALUE|missing|double", "the Upgrade header"),
    parameter("connection", "VALUE|missing|double", "the Connection header, e.g. keep-alive,%20Upgrade"),
    repeated(
        "extensions",
        "VALUE",
        "a Sec-WebSocket-Extensions header; with deflate it stands for the answer, which the server keeps to all the same",
    ),
    parameter("version", "VERSION", "the HTTP version of the status line; default 1.1"),
    repeated("before", "STATUS", "an interim response before the real one, e.g. 100 or 103"),
    parameter(
        "endless",
        "headers|line|interim|hints|body",
        "never ends the headers, one header line, the interim responses (hints: of 1 KiB each), or the body (with status)",
    ),
    parameter("garbage", "HEX", "these bytes instead of a response, then the end"),
    parameter("cut", "N", "the first N bytes of the response, then the end"),
    parameter("stall", "0|1", "1 = never answers; end defaults to never"),
    parameter("delay_ms", "MS", "answers so much later"),
    parameter("token", "TOKEN", "answers once /release?token=TOKEN was asked for"),
    parameter("split", "0|1", "1 = one byte per write"),
    parameter("with", "HEX", "bytes in the same write behind the response"),
];

/// Every route.
pub static ROUTES: &[Route] = &[
    Route {
        path: "/echo",
        summary: "Echoes each message when it is complete; answers pings; echoes Close, then ends TCP.",
        groups: &[&[parameter("frame", "BYTES", "fragments what it sends into frames of this size")]],
        action: Action::Behave(Echo::make),
    },
    Route {
        path: "/request",
        summary: "Sends the request head as one text message, then as /echo.",
        groups: &[],
        action: Action::Behave(Echo::make_request),
    },
    Route {
        path: "/tls",
        summary: "Sends what TLS has come to as one text message, then as /echo: `version=TLSv1.3 alpn=http/1.1 sni=good.test resumed=0 client=-`, or `version=none`. What there is not is `-`; client is the common name in the client's certificate.",
        groups: &[],
        action: Action::Behave(Echo::make_tls),
    },
    Route {
        path: "/close",
        summary: "Sends Close, waits for the client's, then ends TCP. Without code the body is empty.",
        groups: &[
            CLOSE_BODY,
            AFTER,
            &[parameter("wait", "0|1", "0 = does not wait for the client's Close; default 1")],
            ENDING,
        ],
        action: Action::Behave(Close::make),
    },
    Route {
        path: "/close_reply",
        summary: "As /echo, but answers the client's Close as told. Without code it echoes the client's body.",
        groups: &[
            CLOSE_BODY,
            &[
                parameter("delay_ms", "MS", "answers so much later"),
                parameter("missing", "0|1", "1 = no answer; end then defaults to never"),
            ],
            ENDING,
        ],
        action: Action::Behave(CloseReply::make),
    },
    Route {
        path: "/abrupt",
        summary: "Ends TCP without a Close frame.",
        groups: &[AFTER, ENDING],
        action: Action::Behave(Abrupt::make),
    },
    Route {
        path: "/count",
        summary: "Sends n messages in gathered writes, then Close. Byte j of message i (both from 0) is (31 * i + j) % 251 in a binary and 'a' + (i + j) % 26 in a text message.",
        groups: &[COUNT, ENDING],
        action: Action::Behave(count::make),
    },
    Route {
        path: "/compressed",
        summary: "Sends compressed messages of any size, each with the bytes of /count's first, in frames that stand for about a mebibyte; then Close. Needs deflate.",
        groups: &[
            &[
                parameter("n", "N", "how many messages; default 1"),
                parameter("size", "BYTES", "the size of each; default 1048576"),
                parameter("type", "text|binary", "default text"),
                parameter("wait", "0|1", "1 = starts at the client's first message; default 0"),
                parameter(
                    "close",
                    "CODE|none",
                    "the Close behind the messages; none = stays open; default 1000",
                ),
            ],
            ENDING,
        ],
        action: Action::Behave(compressed::make),
    },
    Route {
        path: "/answer",
        summary: "Answers each message with n messages in one write, their bytes as those of /count; answers Close.",
        groups: &[&[
            parameter("n", "N", "how many messages; default 100"),
            parameter("size", "BYTES", "the size of each; default 16"),
            parameter("type", "text|binary", "default text"),
        ]],
        action: Action::Behave(Answer::make),
    },
    Route {
        path: "/flood",
        summary: "Sends the same bytes again and again, in blocks of 64 KiB or a few bytes more; otherwise as /sink.",
        groups: &[&[
            parameter("hex", "HEX", "the bytes: a frame, or several"),
            parameter("n", "N", "so many times; 0 = until the client leaves or closes; default 0"),
            parameter("before", "HEX", "bytes before them"),
            parameter("behind", "HEX", "bytes behind them"),
            parameter("wait", "0|1", "1 = starts at the client's first message; default 0"),
            parameter("reads", "0|1", "0 = reads nothing before all is sent; default 1"),
        ]],
        action: Action::Behave(Flood::make),
    },
    Route {
        path: "/sink",
        summary: "Reads and discards messages; answers pings and Close.",
        groups: &[&[parameter(
            "ack",
            "N",
            "sends the count so far as text after every N messages; default never",
        )]],
        action: Action::Behave(Sink::make),
    },
    Route {
        path: "/verify",
        summary: "As /sink, but sends Close 4000 unless each message is that of /count; answers Close with 1000 and the reason `N messages`.",
        groups: &[&[
            parameter("size", "BYTES", "the size of each; default 16"),
            parameter("type", "text|binary", "default text"),
            parameter("token", "TOKEN", "reads nothing until /release?token=TOKEN was asked for"),
        ]],
        action: Action::Behave(Verify::make),
    },
    Route {
        path: "/stall",
        summary: "Neither reads nor writes, for 10 minutes; the client's end goes unnoticed.",
        groups: &[],
        action: Action::Behave(Stall::make),
    },
    Route {
        path: "/stall_then_read",
        summary: "Reads nothing for a time.",
        groups: &[&[parameter("after_ms", "MS", "for how long; default 1000")], THEN],
        action: Action::Behave(StallUntil::make_timed),
    },
    Route {
        path: "/stall_until",
        summary: "Reads nothing until /release?token=TOKEN was asked for.",
        groups: &[&[parameter("token", "TOKEN", "which release")], THEN],
        action: Action::Behave(StallUntil::make_released),
    },
    Route {
        path: "/slow_read",
        summary: "As /sink, but reads in pieces.",
        groups: &[PACE],
        action: Action::Behave(echo::make_slow_read),
    },
    Route {
        path: "/slow_write",
        summary: "As /echo, but writes in pieces; sends message first, if given.",
        groups: &[
            PACE,
            &[
                parameter("message", "TEXT", "a message to send at once"),
                parameter("message_hex", "HEX", "the same as raw bytes"),
                parameter("type", "text|binary", "its type; default text"),
            ],
        ],
        action: Action::Behave(Echo::make_slow),
    },
    Route {
        path: "/raw",
        summary: "Sends exactly these bytes behind a good handshake, then ends TCP. It answers nothing, not even Close, unless end=echo: then it goes on as /echo.",
        groups: &[
            &[
                parameter("hex", "HEX", "the bytes"),
                parameter("repeat", "N", "so many times; default 1"),
                parameter("split", "0|1", "1 = one byte per write"),
            ],
            AFTER,
            ENDING,
        ],
        action: Action::Behave(Raw::make),
    },
    Route {
        path: "/ping",
        summary: "Sends pings, then as /echo. With n over 1 each payload ends in its index, from 0.",
        groups: &[&[
            parameter("n", "N", "how many; default 1"),
            parameter("payload", "TEXT", "the payload; default empty"),
            parameter("payload_hex", "HEX", "the same as raw bytes"),
            parameter("close", "CODE|none", "the Close sent when all pongs have come in order; default none"),
        ]],
        action: Action::Behave(Ping::make),
    },
    Route {
        path: "/ping_echo",
        summary: "As /echo, with a ping before every message.",
        groups: &[&[
            parameter("payload", "TEXT", "the ping's payload; default empty"),
            parameter("payload_hex", "HEX", "the same as raw bytes"),
        ]],
        action: Action::Behave(Echo::make_pinging),
    },
    Route {
        path: "/handshake",
        summary: "Answers the opening handshake as told; a response with status 101 is followed by /echo whatever is wrong with it.",
        groups: &[HANDSHAKE, ENDING],
        action: Action::Handshake,
    },
    Route {
        path: "/record/ID",
        summary: "Plain GET. Answers what the connection with id=ID received, when that has ended or wait_ms has passed.",
        groups: &[&[
            parameter("wait_ms", "MS", "waits at most so long; default 10000"),
            parameter("frames", "N", "answers as soon as N frames have been received"),
        ]],
        action: Action::Control(answer_record),
    },
    Route {
        path: "/release",
        summary: "Plain GET. Lets those go on that wait for a token, now or later.",
        groups: &[&[parameter("token", "TOKEN", "which")]],
        action: Action::Control(answer_release),
    },
    Route {
        path: "/help",
        summary: "Plain GET. Answers this table.",
        groups: &[],
        action: Action::Control(answer_help),
    },
];

impl Route {
    /// The parameter of a name, common ones included.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        let common = if self.is_control() { &[][..] } else { COMMON };
        self.groups
            .iter()
            .flat_map(|group| group.iter())
            .chain(common)
            .find(|parameter| parameter.name == name)
    }

    fn is_control(&self) -> bool {
        matches!(self.action, Action::Control(_))
    }
}

/// The route of a path.
pub fn find(path: &str) -> Option<&'static Route> {
    let matches = |route: &&Route| match route.path.strip_suffix("ID") {
        Some(prefix) => path.len() > prefix.len() && path.starts_with(prefix),
        None => route.path == path,
    };
    ROUTES.iter().find(matches)
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "wsstream-test-server [--port N] [--all] [--until-stdin-ends] [--help] [--markdown]\n\n\
         Prints `listening on 127.0.0.1:PORT` and serves WebSocket on loopback. The URL says what it does.\n\
         With --all it serves wss and a Unix socket as well, and prints where; the name sent by TLS says how.\n",
    );
    let mut section = |title: &str, summary: &str, parameters: &mut dyn Iterator<Item = &Parameter>| {
        let _ = writeln!(text, "\n{title}\n    {summary}");
        for parameter in parameters {
            let _ = writeln!(text, "    {:<44} {}", form(parameter), parameter.meaning);
        }
    };
    section("every WebSocket route", "takes these as well:", &mut COMMON.iter());
    for route in ROUTES {
        section(route.path, route.summary, &mut route.groups.iter().flat_map(|group| group.iter()));
    }
    text.push_str("\nTLS by the client's server name (SNI)\n");
    for host in HOSTS {
        let _ = writeln!(text, "    {:<44} {}", host.name, host.summary);
    }
    text
}

/// The grammar in the form of the README.
pub fn markdown() -> String {
    let mut text = String::new();
    let mut section = |title: &str, summary: &str, parameters: &[&Parameter]| {
        let _ = writeln!(text, "### {title}\n\n{summary}\n");
        if parameters.is_empty() {
            return;
        }
        text.push_str("| parameter | meaning |\n|---|---|\n");
        for parameter in parameters {
            let cell = form(parameter).replace('|', "\\|");
            let _ = writeln!(text, "| `{cell}` | {} |", parameter.meaning.replace('|', "\\|"));
        }
        text.push('\n');
    };
    section("Every WebSocket route", "takes these as well:", &COMMON.iter().collect::<Vec<_>>());
    for route in ROUTES {
        let parameters: Vec<&Parameter> = route.groups.iter().flat_map(|group| group.iter()).collect();
        section(&format!("`{}`", route.path), route.summary, &parameters);
    }
    section("TLS hosts", "The server name that the client sends by TLS (SNI) picks one:", &[]);
    text.push_str("| name | what it does |\n|---|---|\n");
    for host in HOSTS {
        let _ = writeln!(text, "| `{}` | {} |", host.name, host.summary);
    }
    text
}

fn form(parameter: &Parameter) -> String {
    let mark = if parameter.repeats { " …" } else { "" };
    format!("{}={}{mark}", parameter.name, parameter.value)
}
