//! Whether a 101 really opens the connection: the six points of RFC 6455 §4.1, each with a sentence that names
//! what was wrong (decision 11). Knows fields, not bytes.

use super::extension::{Agreement, Offer};
use super::response::{Head, excerpt};

/// What the response must match.
#[derive(Debug)]
pub(super) struct Expectation {
    accept: String,
    protocols: Vec<String>,
    /// permessage-deflate as it was offered.
    offered: Option<Offer>,
}

/// What an acceptance agrees on.
pub(super) struct Agreed {
    pub(super) protocol: String,
    pub(super) extensions: String,
    pub(super) deflate: Option<Agreement>,
}

impl Expectation {
    pub(super) fn new(accept: String, protocols: Vec<String>, offered: Option<Offer>) -> Self {
        Self { accept, protocols, offered }
    }

    /// What was agreed on, or what is wrong.
    pub(super) fn check(&self, head: &Head) -> Result<Agreed, String> {
        if head.minor_version == 0 {
            // RFC 9110 §7.8: there is no Upgrade in HTTP/1.0.
            return Err("The server answered in HTTP/1.0, which cannot switch protocols.".to_owned());
        }
        self.check_list(head, "Upgrade", "websocket")?;
        self.check_list(head, "Connection", "Upgrade")?;
        head.check_repeated()?;
        self.check_accept(head)?;
        let protocol = self.check_protocol(head)?;
        let (extensions, deflate) = self.check_extensions(head)?;
        Ok(Agreed { protocol, extensions, deflate })
    }

    // RFC 6455 §4.1 points 2 and 3. RFC 9110 §5.3: fields of one name are one list, in order.
    fn check_list(&self, head: &Head, name: &'static str, token: &str) -> Result<(), String> {
        let values = head.values(name).collect::<Vec<_>>();
        if values.is_empty() {
            return Err(format!("The server's answer has no {name} header."));
        }
        let list = values.join(&b", "[..]);
        let mut tokens = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if tokens.any(|candidate| candidate.eq_ignore_ascii_case(token.as_bytes())) {
            return Ok(());
        }
        Err(format!("The server's {name} header is {}, without \"{token}\".", excerpt(&list)))
    }

    // RFC 6455 §4.1 point 4: blanks around it are ignored.
    fn check_accept(&self, head: &Head) -> Result<(), String> {
        const NAME: &str = "Sec-WebSocket-Accept";
        match head.value(NAME) {
            None => Err(format!("The server's answer has no {NAME} header.")),
            Some(value) if value == self.accept.as_bytes() => Ok(()),
            Some(value) => {
                Err(format!("The server's {NAME} is {}, which does not answer our key.", excerpt(value)))
            }
        }
    }

    // RFC 6455 §4.1 point 6. P05: one of those asked for must be chosen, which is more than the RFC wants.
    fn check_protocol(&self, head: &Head) -> Result<String, String> {
        const NAME: &str = "Sec-WebSocket-Protocol";
        match head.value(NAME) {
            None if self.protocols.is_empty() => Ok(String::new()),
            None => Err(format!("The server chose none of the sub-protocols: it sent no {NAME} header.")),
            Some(b"") if !self.protocols.is_empty() => {
                Err(format!("The server chose none of the sub-protocols: its {NAME} header is empty."))
            }
            Some(value) => {
                let chosen = self.protocols.iter().find(|protocol| protocol.as_bytes() == value);
                chosen.cloned().ok_or_else(|| {
                    format!("The server chose the sub-protocol {}, which was not offered.", excerpt(value))
                })
            }
        }
    }

    // RFC 6455 §4.1 point 5. An empty value is an empty list, which agrees on nothing.
    fn check_extensions(&self, head: &Head) -> Result<(String, Option<Agreement>), String> {
        let value = head.value("Sec-WebSocket-Extensions").unwrap_or_default();
        let deflate = match &self.offered {
            Some(offer) => offer.judge(value)?,
            None if value.is_empty() => None,
            None => {
                return Err(format!(
                    "The server chose the extension {}, which was not offered.",
                    excerpt(value)
                ));
            }
        };
        // Only tokens and strings of tokens have passed.
        let extensions = deflate.map(|_| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
        Ok((extensions, deflate))
    }
}

impl Head {
    fn values(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        let fields = self.headers.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.trim_ascii())
    }

    /// The value of a field that is not repeated.
    fn value(&self, name: &'static str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// Decision 11: no field of the handshake comes twice, also none that is not known here.
    fn check_repeated(&self) -> Result<(), String> {
        const PREFIX: &str = "Sec-WebSocket-";
        let is_own =
            |name: &str| name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
        for (index, (name, second)) in self.headers.iter().enumerate().filter(|(_, (name, _))| is_own(name)) {
            let mut before = self.headers[..index].iter();
            if let Some((name, first)) = before.find(|(other, _)| other.eq_ignore_ascii_case(name)) {
                let (first, second) = (excerpt(first.trim_ascii()), excerpt(second.trim_ascii()));
                return Err(format!("The server repeated its {name} header: {first} and {second}."));
            }
        }
        Ok(())
    }
}
