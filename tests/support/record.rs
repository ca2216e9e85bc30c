//! What the server says of a connection: server/README.md has the format.

/// A frame that the server received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub opcode: String,
    pub fin: bool,
    pub masked: bool,
    pub mask: String,
    pub rsv: u8,
    pub size: usize,
    /// Of a Close: "none" without one.
    pub code: String,
    pub reason: String,
    /// The first 64 bytes, unmasked.
    pub payload: Vec<u8>,
    /// Microseconds since the handshake's response.
    pub at_us: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Record {
    pub text: String,
    pub end: String,
    pub request: Vec<String>,
    pub frames: Vec<Frame>,
    pub events: Vec<String>,
    counts: Vec<(String, u64)>,
}

impl Record {
    pub fn parse(text: String) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            let (head, rest) = line.split_once(": ").unwrap_or(("", line));
            match head {
                "end" => record.end = rest.split(' ').next().unwrap_or_default().to_owned(),
                "request" => record.request.push(rest.to_owned()),
                "counts" => record.counts = rest.split(' ').filter_map(count).collect(),
                "event" => record.events.push(rest.split(' ').next().unwrap_or_default().to_owned()),
                "violation" => {}
                _ if line.starts_with("partial ") => {}
                _ => record.frames.push(frame(line)),
            }
        }
        record.text = text;
        record
    }

    /// One of the numbers in the line `counts:`.
    pub fn count(&self, name: &str) -> u64 {
        let found = self.counts.iter().find(|(found, _)| found == name);
        found.unwrap_or_else(|| panic!("no {name} in {}", self.text)).1
    }

    /// Fails where the client broke a rule of RFC 6455.
    #[track_caller]
    pub fn lawful(self) -> Self {
        assert_eq!(self.count("violations"), 0, "{}", self.text);
        self
    }

    /// The Close that the client sent: code ("none") and reason.
    #[track_caller]
    pub fn close(&self) -> (&str, &str) {
        let close = self.frames.iter().find(|frame| frame.opcode == "close");
        let close = close.unwrap_or_else(|| panic!("no Close in {}", self.text));
        (&close.code, &close.reason)
    }

    /// The value of a header field in the request.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.iter().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn count(pair: &str) -> Option<(String, u64)> {
    let (name, value) = pair.split_once('=')?;
    Some((name.to_owned(), value.parse().ok()?))
}

/// `text fin=1 masked=1 … reason="may have spaces" payload_hex=…`
fn frame(line: &str) -> Frame {
    let mut frame =
        Frame { opcode: line.split(' ').next().unwrap_or_default().to_owned(), ..Frame::default() };
    if let Some((_, rest)) = line.split_once("reason=\"") {
        frame.reason = rest.rsplit_once("\" ").map_or(rest, |(reason, _)| reason).to_owned();
    }
    for pair in line.split(' ') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        match name {
            "fin" => frame.fin = value == "1",
            "masked" => frame.masked = value == "1",
            "mask" => frame.mask = value.to_owned(),
            "rsv" => frame.rsv = value.parse().unwrap_or_default(),
            "size" => frame.size = value.parse().unwrap_or_default(),
            "code" => frame.code = value.to_owned(),
            "payload_hex" => frame.payload = unhex(value),
            "at_ms" => {
                frame.at_us = value.parse::<f64>().map_or(0, |ms| (ms * 1000.0) as u64);
            }
            _ => {}
        }
    }
    frame
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
