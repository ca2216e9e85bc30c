//! Sizes, offsets and constants as Rust has them, in the words of `abi/layout.txt`.

use std::fmt::Write;
use std::mem::offset_of;

use wsstream::ffi::about::wsstream_statistics;
use wsstream::ffi::close_info::wsstream_close_info;
use wsstream::ffi::constant::{WSSTREAM_ABI_VERSION, WSSTREAM_FOREVER, WSSTREAM_NO_CODE, WSSTREAM_NUL};
use wsstream::ffi::read::{wsstream_chunk, wsstream_message};
use wsstream::ffi::status::wsstream_status;

use crate::layout::enumerators_in_header_order;

fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! structure {
    ($text:ident, $name:ident { $($field:ident),+ $(,)? }) => {
        let _ = writeln!($text, "struct {} size {}", stringify!($name), size_of::<$name>());
        $(
            let field = stringify!($field).trim_start_matches("r#");
            let _ = writeln!($text, "  {field} offset {}", offset_of!($name, $field));
            let _ = writeln!($text, "  {field} size {}", size_of_field(|all: &$name| &all.$field));
        )+
    };
}

/// The lines, in the order of the header.
pub fn print() -> String {
    let mut text = String::new();
    let _ = writeln!(text, "type wsstream_status size {}", size_of::<wsstream_status>());
    structure!(text, wsstream_message { r#type, flags, data, size, owner });
    structure!(
        text,
        wsstream_close_info {
            struct_size,
            code,
            clean,
            initiator,
            phase,
            cause,
            os_error,
            http_status,
            sent_code,
            reserved,
            reason,
            reason_size,
            detail,
            detail_size,
            response_body,
            response_body_size,
        }
    );
    structure!(text, wsstream_chunk { r#type, flags, size, available });
    structure!(
        text,
        wsstream_statistics {
            messages_received,
            messages_sent,
            payload_received,
            payload_sent,
            wire_received,
            wire_sent,
            unread_messages,
            unread,
            unsent,
            pings_received,
            pings_sent,
            pongs_received,
            round_trip_us,
        }
    );
    let _ = writeln!(text, "macro WSSTREAM_ABI_VERSION {WSSTREAM_ABI_VERSION}");
    let _ = writeln!(text, "macro WSSTREAM_NUL {}", WSSTREAM_NUL as isize);
    let _ = writeln!(text, "macro WSSTREAM_FOREVER {WSSTREAM_FOREVER}");
    let _ = writeln!(text, "macro WSSTREAM_NO_CODE {WSSTREAM_NO_CODE}");
    for (name, value) in enumerators_in_header_order() {
        let _ = writeln!(text, "enumerator {name} {value}");
    }
    text
}
