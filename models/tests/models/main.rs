//! Models of wsstream's thread protocol, run through loom: every execution of a few threads within a bound.
//!
//! `README.md` says which model covers which bit of the words.

mod check;
mod driving;
mod ending;
mod kernel;
mod reading;
mod reading_claims;
mod stream;
mod writing;
