//! The opening handshake, as far as a benchmark needs it (RFC 6455, section 4).

/// What the client asked for, and the response to it.
pub struct Request {
    pub path: String,
    pub response: Vec<u8>,
    /// How much of the input it took.
    pub size: usize,
}

/// None: the header is not whole yet, or is none.
pub fn parse(input: &[u8]) -> Option<Request> {
    let size = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&input[..size]).ok()?;
    let mut lines = text.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let (mut key, mut deflate) = (None, None);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("sec-websocket-key") {
            key = Some(value.trim());
        } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
            deflate = value.split(',').map(str::trim).find(|offer| offer.starts_with("permessage-deflate"));
        }
    }
    let accept = tungstenite::handshake::derive_accept_key(key?.as_bytes());
    let extension = deflate.map(|offer| format!("Sec-WebSocket-Extensions: {}\r\n", accepted(offer)));
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{}\r\n",
        extension.unwrap_or_default()
    );
    Some(Request { path, response: response.into_bytes(), size })
}

/// The server sends back what the client has compressed, so both directions have the same parameters.
fn accepted(offer: &str) -> String {
    let mut extension = "permessage-deflate".to_owned();
    for parameter in offer.split(';').map(str::trim) {
        if parameter == "server_no_context_takeover" {
            extension += "; server_no_context_takeover; client_no_context_takeover";
        } else if let Some(bits) = parameter.strip_prefix("server_max_window_bits=") {
            extension += &format!("; server_max_window_bits={bits}; client_max_window_bits={bits}");
        }
    }
    extension
}
