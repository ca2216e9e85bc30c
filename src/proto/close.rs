//! Close codes: which a program may send, which may appear on the wire, and the two different sets they are.
//! Refuses to know the state of the connection: the argument is checked in every state (C01).

/// A control frame holds 125 bytes, two of them are the code (RFC 6455 §5.5).
pub const REASON_SIZE_MAX: usize = 123;

/// Why a close request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseRefusal {
    /// The code is no 16-bit number (C03).
    Argument,
    /// The code is not for programs (C04).
    Access,
    /// The reason is too long (C05).
    Syntax,
}

/// What goes into our Close frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseRequest {
    /// None: an empty body.
    pub code: Option<u16>,
    /// At most `REASON_SIZE_MAX` bytes.
    pub reason: String,
}

/// Checks what a program asks for; a `code` of -1 is none. The code is judged before the reason (C06).
pub fn check_close(code: i32, reason: &str) -> Result<CloseRequest, CloseRefusal> {
    let code = match code {
        -1 => None,
        _ => Some(u16::try_from(code).map_err(|_| CloseRefusal::Argument)?),
    };
    if !matches!(code, None | Some(1000 | 3000..=4999)) {
        return Err(CloseRefusal::Access);
    }
    if reason.len() > REASON_SIZE_MAX {
        return Err(CloseRefusal::Syntax);
    }
    // C08, C09: a body needs a code, and 1000 is the one that says nothing special.
    let code = if reason.is_empty() { code } else { code.or(Some(1000)) };
    Ok(CloseRequest { code, reason: reason.to_owned() })
}

/// Whether the code may stand in a Close frame.
pub const fn is_legal_on_wire(code: u16) -> bool {
    // RFC 6455 §7.4: 1004 is reserved, 1005, 1006 and 1015 exist only locally, 1016–2999 are for later
    // versions of the protocol. 1012–1014 were registered after the RFC.
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
