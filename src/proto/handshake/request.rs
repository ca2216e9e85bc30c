//! The request: what a program may put into it, and its bytes. Whatever passes the two checks cannot change
//! what the request means.

/// What the request is made of. Each part has been checked before: a request cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The value of Host.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The value of Sec-WebSocket-Key.
    pub key: &'a str,
    /// The sub-protocols asked for, in order.
    pub protocols: &'a [String],
    /// Headers of the program's own, in order.
    pub headers: &'a [(String, Vec<u8>)],
    /// The value of Authorization, used unless the headers carry one.
    pub authorization: Option<&'a str>,
    /// The value of Sec-WebSocket-Extensions.
    pub extensions: Option<&'a str>,
}

/// The bytes of the request.
pub fn encode_request(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    // RFC 6455 §4.1: the fields a client must send.
    put(&[b"GET ", request.target.as_bytes(), b" HTTP/1.1\r\n"]);
    put(&[b"Host: ", request.host.as_bytes(), b"\r\n"]);
    put(&[b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"]);
    put(&[b"Sec-WebSocket-Key: ", request.key.as_bytes(), b"\r\n"]);
    if !request.protocols.is_empty() {
        // P04: one field, in the given order.
        put(&[b"Sec-WebSocket-Protocol: ", request.protocols.join(", ").as_bytes(), b"\r\n"]);
    }
    if let Some(extensions) = request.extensions {
        put(&[b"Sec-WebSocket-Extensions: ", extensions.as_bytes(), b"\r\n"]);
    }
    let is_authorization = |(name, _): &(String, Vec<u8>)| name.eq_ignore_ascii_case("Authorization");
    match request.authorization {
        Some(value) if !request.headers.iter().any(is_authorization) => {
            put(&[b"Authorization: ", value.as_bytes(), b"\r\n"]);
        }
        _ => {}
    }
    for (name, value) in request.headers {
        debug_assert!(check_header(name.as_bytes(), value).is_ok(), "a header that was not checked");
        put(&[name.as_bytes(), b": ", value, b"\r\n"]);
    }
    put(&[b"\r\n"]);
    bytes
}

/// Whether a sub-protocol may be asked for beside the earlier ones (P01–P03).
#[expect(clippy::result_unit_err, reason = "there is one way to be wrong, and the caller names it")]
pub fn check_protocol(candidate: &str, earlier: &[String]) -> Result<(), ()> {
    // RFC 6455 §4.1: no element is empty, each is an HTTP token, and all are unique; whatever their case.
    let is_token = !candidate.is_empty() && candidate.bytes().all(is_token_byte);
    let is_new = !earlier.iter().any(|protocol| protocol.eq_ignore_ascii_case(candidate));
    if is_token && is_new { Ok(()) } else { Err(()) }
}

/// Whether a program may add this header to the request.
#[expect(clippy::result_unit_err, reason = "there is one way to be wrong, and the caller names it")]
pub fn check_header(name: &[u8], value: &[u8]) -> Result<(), ()> {
    // These decide what the request is and where it ends, so they belong to the handshake.
    const OURS: [&[u8]; 5] = [b"Host", b"Connection", b"Upgrade", b"Content-Length", b"Transfer-Encoding"];
    const OURS_PREFIX: &[u8] = b"Sec-WebSocket-";
    let is_ours = OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
        || name.get(..OURS_PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(OURS_PREFIX));
    let is_name = !name.is_empty() && name.iter().copied().all(is_token_byte);
    // RFC 9110 §5.5: visible characters, blanks and obs-text; a control character could end the field.
    let is_value = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7F);
    if is_name && is_value && !is_ours { Ok(()) } else { Err(()) }
}

// RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
