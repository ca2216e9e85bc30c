//! The opening handshake of RFC 6455 §4, the client's half: the request as bytes, the response judged.
//! Refuses to know the URL, options, proxies, and who keeps the time. What the server may say is decided here
//! and nowhere else, strictly, and each refusal names what was wrong.

mod extension;
mod request;
mod response;
mod upgrade;

pub use extension::{Agreement, Offer};
pub use request::{Request, check_header, check_protocol, encode_request};
pub use response::{BODY_SIZE_MAX, HEADER_COUNT_MAX, Progress, Refusal, Response, ResponseReader};
