//! The frames of a client, a piece at a time as they come (RFC 6455, section 5.2). Knows nothing of what they are for.

/// The largest header of a masked frame.
const HEADER_MAX: usize = 14;

/// Where the frame that is coming stands.
#[derive(Default)]
pub struct Frames {
    header: [u8; HEADER_MAX],
    header_size: usize,
    left: u64,
    mask: [u8; 4],
    is_inside: bool,
}

/// What comes next of the input.
pub enum Piece<'a> {
    /// A frame begins: its first byte (FIN, RSV, opcode) and the size of its payload.
    Begin(u8, u64),
    /// Payload without its mask.
    Payload(&'a mut [u8]),
    End,
}

impl Frames {
    /// Tells `take` what `input` has; false: it is no frame of a client.
    pub fn feed(&mut self, mut input: &mut [u8], mut take: impl FnMut(Piece<'_>)) -> bool {
        loop {
            if self.is_inside {
                let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
                let (payload, rest) = input.split_at_mut(size);
                if size > 0 {
                    self.unmask(payload);
                    take(Piece::Payload(payload));
                }
                self.left -= size as u64;
                input = rest;
                if self.left > 0 {
                    return true;
                }
                self.is_inside = false;
                take(Piece::End);
            }
            let Some(used) = self.read_header(input) else { return true };
            if self.header[1] & 0x80 == 0 {
                return false;
            }
            input = &mut input[used..];
            self.is_inside = true;
            take(Piece::Begin(self.header[0], self.left));
        }
    }

    /// How much of the input completes the header; None: it is not whole yet.
    fn read_header(&mut self, input: &[u8]) -> Option<usize> {
        let before = self.header_size;
        let copied = input.len().min(HEADER_MAX - before);
        self.header[before..before + copied].copy_from_slice(&input[..copied]);
        let have = before + copied;
        let extended = match self.header[1] & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let needed = 2 + extended + if self.header[1] & 0x80 != 0 { 4 } else { 0 };
        if have < 2 || have < needed {
            self.header_size = have;
            return None;
        }
        self.header_size = 0;
        self.left = match extended {
            0 => u64::from(self.header[1] & 0x7F),
            _ => self.header[2..2 + extended].iter().fold(0, |size, &byte| size << 8 | u64::from(byte)),
        };
        self.mask.copy_from_slice(&self.header[needed - 4..needed]);
        Some(needed - before)
    }

    fn unmask(&mut self, payload: &mut [u8]) {
        let mask = u64::from_ne_bytes([self.mask, self.mask].concat().try_into().expect("eight bytes"));
        let (words, rest) = payload.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ mask).to_ne_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(self.mask.iter().cycle()) {
            *byte ^= mask;
        }
        self.mask.rotate_left(payload.len() % 4);
    }
}

/// Appends the header of a server's frame.
pub fn push_header(out: &mut Vec<u8>, first: u8, size: u64) {
    out.push(first);
    match size {
        0..=125 => out.push(size as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend((size as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend(size.to_be_bytes());
        }
    }
}
