//! Models of wsstream's thread protocol, run through loom: every execution of a few threads within a bound.
//!
//! `README.md` says which model covers which bit of the words.

mod callback_claims;
mod calling;
mod check;
mod describing;
mod descriptor_claims;
mod driving;
mod ending;
mod ending_claims;
mod interrupt_claims;
mod kernel;
mod polling;
mod reading;
mod reading_claims;
mod runtime_claims;
mod serving;
mod stop_claims;
mod stream;
mod table;
mod tls_claims;
mod writing;
mod writing_claims;
