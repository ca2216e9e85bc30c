//! UTF-8 that arrives in pieces (RFC 6455 §8.1). A piece may end inside a character; a byte that cannot go on
//! from what came before is refused at once, not at the end of the message. Keeps three bytes of state.

/// The bytes are not UTF-8, whatever may follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Where in a character the text so far has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8 {
    /// Bytes the character still needs.
    needed: u8,
    /// The next of them lies within these two. Both count only while one is needed.
    lower: u8,
    upper: u8,
}

impl Utf8 {
    /// Before the first byte.
    #[inline]
    pub const fn new() -> Self {
        Self { needed: 0, lower: 0x80, upper: 0xBF }
    }

    /// Takes the next piece. After `Invalid` the state means nothing.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        let mut rest = piece;
        while self.needed > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.step(byte)?;
            rest = after;
        }
        if is_ascii_short(rest) {
            return Ok(());
        }
        let Err(error) = simdutf8::compat::from_utf8(rest) else { return Ok(()) };
        // What is left is a bad byte within the next four, or at most three bytes of a character cut off.
        rest[error.valid_up_to()..].iter().try_for_each(|&byte| self.step(byte))
    }

    /// Whether the text so far does not end inside a character.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.needed == 0
    }

    // The Unicode Standard, table 3-7: the second byte alone tells overlong forms, surrogates and what lies
    // beyond U+10FFFF.
    fn step(&mut self, byte: u8) -> Result<(), Invalid> {
        let (needed, lower, upper) = if self.needed > 0 {
            if byte < self.lower || byte > self.upper {
                return Err(Invalid);
            }
            (self.needed - 1, 0x80, 0xBF)
        } else {
            match byte {
                0x00..=0x7F => (0, 0x80, 0xBF),
                0xC2..=0xDF => (1, 0x80, 0xBF),
                0xE0 => (2, 0xA0, 0xBF),
                0xED => (2, 0x80, 0x9F),
                0xE1..=0xEF => (2, 0x80, 0xBF),
                0xF0 => (3, 0x90, 0xBF),
                0xF1..=0xF3 => (3, 0x80, 0xBF),
                0xF4 => (3, 0x80, 0x8F),
                _ => return Err(Invalid),
            }
        };
        *self = Self { needed, lower, upper };
        Ok(())
    }
}

impl Default for Utf8 {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the whole text is UTF-8.
#[inline]
pub fn is_valid(text: &[u8]) -> bool {
    is_ascii_short(text) || is_valid_long(text)
}

#[inline(never)]
fn is_valid_long(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

/// Up to here eight bytes at a time beat the vector kernel's start; it finds ASCII by itself in longer text.
const SHORT_SIZE_MAX: usize = 125;

/// What no ASCII byte has.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether a short text is ASCII. Says no to every longer one.
#[inline]
fn is_ascii_short(text: &[u8]) -> bool {
    if text.len() > SHORT_SIZE_MAX {
        return false;
    }
    // The last bytes may overlap those already seen: that is cheaper than a loop over what is left.
    if text.len() > 16 {
        return is_ascii_words(text);
    }
    if let (Some(&first), Some(&last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return (u64::from_ne_bytes(first) | u64::from_ne_bytes(last)) & HIGH_BITS == 0;
    }
    if let (Some(&first), Some(&last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return (u32::from_ne_bytes(first) | u32::from_ne_bytes(last)) & HIGH_BITS as u32 == 0;
    }
    text.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

/// The same for a text of at least eight bytes.
fn is_ascii_words(text: &[u8]) -> bool {
    let mut rest = text;
    // Leaving at the first bad word keeps the compiler from unrolling this for texts that are never here.
    while let Some((&word, after)) = rest.split_first_chunk::<8>() {
        if u64::from_ne_bytes(word) & HIGH_BITS != 0 {
            return false;
        }
        rest = after;
    }
    text.last_chunk::<8>().is_some_and(|&last| u64::from_ne_bytes(last) & HIGH_BITS == 0)
}
