//! permessage-deflate (RFC 7692) through the C interface: what is agreed, what goes each way, and what it costs. The other
//! side is zlib in C, in the test server or in the test.

#[path = "compression/agreeing.rs"]
mod agreeing;
#[path = "support/halves.rs"]
mod calls;
#[path = "compression/memory.rs"]
mod memory;
#[path = "compression/receiving.rs"]
mod receiving;
#[path = "compression/sending.rs"]
mod sending;
mod support;
#[path = "compression/zlib.rs"]
mod zlib;

#[global_allocator]
static HEAP: support::heap::Heap = support::heap::Heap;
