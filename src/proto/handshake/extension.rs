//! permessage-deflate as it is offered and agreed (RFC 7692 §7.1): the grammar of Sec-WebSocket-Extensions, and which
//! answer keeps to the offer. Knows nothing of what is compressed. Whatever was not offered, is repeated or has a wrong
//! value refuses the connection.

use super::response::excerpt;

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
/// What a window has where nothing is said of it.
const WINDOW_BITS_MAX: u8 = 15;

/// What this side asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The window that this side compresses with, 9 to 15.
    pub client_window_bits: u8,
    /// The window that the server may compress with, 8 to 15.
    pub server_window_bits: u8,
    /// This side keeps its window between messages.
    pub client_context_takeover: bool,
    /// The server may keep its window between messages.
    pub server_context_takeover: bool,
}

/// What both sides keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The window that this side compresses with, 9 to 15; None: the server asked for 8, which raw deflate cannot, so nothing
    /// is compressed.
    pub client_window_bits: Option<u8>,
    /// The window that the server compresses with, 8 to 15.
    pub server_window_bits: u8,
    /// This side keeps its window between messages.
    pub client_context_takeover: bool,
    /// The server may keep its window between messages.
    pub server_context_takeover: bool,
}

impl Offer {
    /// The value of Sec-WebSocket-Extensions in the request.
    pub fn header(&self) -> String {
        let mut value = NAME.to_owned();
        // RFC 7692 §7.1.2.2: a value says that this side uses no more whatever the server answers.
        match self.client_window_bits {
            WINDOW_BITS_MAX => value.push_str("; client_max_window_bits"),
            bits => value.push_str(&format!("; client_max_window_bits={bits}")),
        }
        if self.server_window_bits < WINDOW_BITS_MAX {
            value.push_str(&format!("; server_max_window_bits={}", self.server_window_bits));
        }
        if !self.client_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        if !self.server_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        value
    }

    /// What the server's answer agrees on; None: on nothing. Else a sentence that says what is wrong with it.
    pub fn judge(&self, answer: &[u8]) -> Result<Option<Agreement>, String> {
        let malformed =
            || format!("The server's Sec-WebSocket-Extensions header is malformed: {}.", excerpt(answer));
        let mut extensions = parse(answer).ok_or_else(malformed)?.into_iter();
        let Some((name, parameters)) = extensions.next() else { return Ok(None) };
        if !name.eq_ignore_ascii_case(NAME) {
            return Err(format!("The server chose the extension \"{name}\", which was not offered."));
        }
        if let Some((name, _)) = extensions.next() {
            return Err(format!("The server chose the extension \"{name}\" beside permessage-deflate."));
        }
        self.judge_parameters(&parameters).map(Some)
    }

    fn judge_parameters(&self, parameters: &[(String, Option<String>)]) -> Result<Agreement, String> {
        let mut agreement = Agreement {
            client_window_bits: Some(self.client_window_bits),
            server_window_bits: WINDOW_BITS_MAX,
            client_context_takeover: self.client_context_takeover,
            server_context_takeover: true,
        };
        for (index, (name, value)) in parameters.iter().enumerate() {
            // RFC 7692 §7.1: a client fails the connection on a parameter that is unknown, repeated or has a wrong value.
            if parameters[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("The server repeated the parameter {name} of permessage-deflate."));
            }
            let wrong = || {
                let value = value.as_deref().unwrap_or_default();
                format!("The server's parameter {name} of permessage-deflate has the value \"{value}\".")
            };
            match name.as_str() {
                SERVER_NO_CONTEXT_TAKEOVER if value.is_none() => agreement.server_context_takeover = false,
                CLIENT_NO_CONTEXT_TAKEOVER if value.is_none() => agreement.client_context_takeover = false,
                SERVER_MAX_WINDOW_BITS => {
                    let bits = window_bits(value.as_deref()).filter(|&bits| bits <= self.server_window_bits);
                    agreement.server_window_bits = bits.ok_or_else(wrong)?;
                }
                CLIENT_MAX_WINDOW_BITS => {
                    // §7.1.2.2: the value offered is a hint, which a server may ignore; the answer only limits further.
                    let bits = window_bits(value.as_deref()).ok_or_else(wrong)?.min(self.client_window_bits);
                    agreement.client_window_bits = (bits > 8).then_some(bits);
                }
                SERVER_NO_CONTEXT_TAKEOVER | CLIENT_NO_CONTEXT_TAKEOVER => return Err(wrong()),
                _ => return Err(format!("The server chose the parameter {name} of permessage-deflate.")),
            }
        }
        // RFC 7692 §7.1.1.1, §7.1.2.1: who accepts an offer that bounds the server says so.
        if !self.server_context_takeover && agreement.server_context_takeover {
            return Err(format!("The server did not agree to {SERVER_NO_CONTEXT_TAKEOVER}."));
        }
        if agreement.server_window_bits > self.server_window_bits {
            return Err(format!("The server did not agree to {SERVER_MAX_WINDOW_BITS}."));
        }
        Ok(agreement)
    }
}

/// RFC 7692 §7.1.2: a decimal integer from 8 to 15 without leading zeros.
fn window_bits(value: Option<&str>) -> Option<u8> {
    match value? {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

type Extension = (String, Vec<(String, Option<String>)>);

/// RFC 6455 §9.1: extensions with their parameters; None where the grammar is not kept.
fn parse(value: &[u8]) -> Option<Vec<Extension>> {
    let mut rest = value;
    let mut extensions = Vec::new();
    loop {
        skip_blanks(&mut rest);
        // RFC 9110 §5.6.1.2: empty elements of a list are skipped.
        if !take(&mut rest, b',') {
            if rest.is_empty() {
                return Some(extensions);
            }
            let name = token(&mut rest)?;
            let mut parameters = Vec::new();
            skip_blanks(&mut rest);
            while take(&mut rest, b';') {
                parameters.push(parameter(&mut rest)?);
                skip_blanks(&mut rest);
            }
            extensions.push((name, parameters));
            if !rest.is_empty() && !take(&mut rest, b',') {
                return None;
            }
        }
    }
}

fn parameter(rest: &mut &[u8]) -> Option<(String, Option<String>)> {
    skip_blanks(rest);
    let name = token(rest)?.to_ascii_lowercase();
    skip_blanks(rest);
    if !take(rest, b'=') {
        return Some((name, None));
    }
    skip_blanks(rest);
    if !take(rest, b'"') {
        return Some((name, Some(token(rest)?)));
    }
    // RFC 6455 §9.1: what a quoted value stands for is a token, too.
    let mut text = Vec::new();
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        match byte {
            b'"' => break,
            b'\\' => {
                let (&escaped, behind) = rest.split_first()?;
                *rest = behind;
                text.push(escaped);
            }
            byte => text.push(byte),
        }
    }
    let mut text = text.as_slice();
    let value = token(&mut text)?;
    text.is_empty().then_some((name, Some(value)))
}

fn skip_blanks(rest: &mut &[u8]) {
    *rest = rest.trim_ascii_start();
}

fn take(rest: &mut &[u8], byte: u8) -> bool {
    match rest.split_first() {
        Some((first, behind)) if *first == byte => {
            *rest = behind;
            true
        }
        _ => false,
    }
}

fn token(rest: &mut &[u8]) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let size = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    let (token, behind) = rest.split_at(size);
    *rest = behind;
    (size > 0).then(|| token.iter().map(|&byte| char::from(byte)).collect())
}
