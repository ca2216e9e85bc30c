//! Receive buffers: a `Chunk` is the one writer's handle, a `Slice` is a share of its filled front.
//!
//! Refuses to know where the bytes come from and what they mean. The invariant everything rests on:
//! bytes below `len` never change while a slice is alive, bytes above it are reached by the writer
//! alone. Every pointer derives from the one the allocator gave; no reference spans both parts.

use std::alloc::Layout;
use std::ffi::c_void;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::ptr::NonNull;

use super::pool;
use crate::fault;
use crate::sync::{AtomicUsize, Ordering};

/// Something that fills bytes.
///
/// # Safety
///
/// When `fill` returns `Ok(n)`, the first `n` bytes of `buffer` exist and are initialised.
pub unsafe trait Source {
    /// Writes to the front of `buffer` and says how many bytes it wrote.
    fn fill(&mut self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize>;
}

// SAFETY: exactly the `size` bytes that are reported were copied from initialised bytes.
unsafe impl Source for &[u8] {
    fn fill(&mut self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let size = buffer.len().min(self.len());
        let (front, rest) = self.split_at(size);
        // SAFETY: both sides are valid for `size` bytes, and `buffer` is borrowed exclusively.
        unsafe { buffer.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(front.as_ptr(), size) };
        *self = rest;
        Ok(size)
    }
}

/// What lies before the bytes, in the same allocation. The alignment is what `malloc` gives anyway;
/// it keeps the bytes on a boundary that vector instructions like.
#[repr(C, align(16))]
struct Header {
    /// The writer and every slice hold one. No overflow check: more than `isize::MAX` references
    /// cannot exist, since each lives in a `Slice` or `RawSlice` of several words somewhere in memory.
    references: AtomicUsize,
    /// Bytes after the header. Changes only in `grow`, while the writer holds the only reference.
    capacity: usize,
}

const HEADER_BYTES: usize = size_of::<Header>();

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(HEADER_BYTES.checked_add(capacity)?, align_of::<Header>()).ok()
}

/// An allocation nobody refers to: the form in which the pool keeps chunks. Not freed by dropping.
pub(super) struct Block {
    header: NonNull<Header>,
}

// SAFETY: a block is the sole owner of plain memory.
unsafe impl Send for Block {}

impl Block {
    /// `None` when the memory is refused.
    pub(super) fn allocate(capacity: usize) -> Option<Block> {
        let layout = layout(capacity)?;
        // SAFETY: the layout has the size of at least a header, so it is not zero.
        let header = NonNull::new(unsafe { std::alloc::alloc(layout) }.cast::<Header>())?;
        // SAFETY: the allocation is large enough and aligned for a header.
        unsafe { header.write(Header { references: AtomicUsize::new(0), capacity }) };
        Some(Block { header })
    }

    pub(super) fn capacity(&self) -> usize {
        // SAFETY: the block owns a live allocation with an initialised header.
        unsafe { (*self.header.as_ptr()).capacity }
    }

    /// Where it lies, to tell blocks apart.
    #[cfg(test)]
    pub(super) fn address(&self) -> *const u8 {
        self.header.as_ptr().cast()
    }

    pub(super) fn free(self) {
        let layout = layout(self.capacity()).expect("the layout it was allocated with");
        // SAFETY: the block is the sole owner, and `capacity` always is that of the allocation.
        unsafe { std::alloc::dealloc(self.header.as_ptr().cast(), layout) };
    }
}

/// Whether a test wants the memory refused that is about to be asked for.
#[inline]
pub(super) fn is_refused() -> bool {
    fault::point("memory.chunk");
    fault::fails("memory.chunk")
}

/// The one writer's handle of a reference-counted receive buffer: appends at the tail while slices of
/// the filled front may be shared with any thread.
#[derive(Debug)]
pub struct Chunk {
    header: NonNull<Header>,
    len: usize,
}

// SAFETY: the count is atomic and the bytes a chunk writes are reached by nobody else.
unsafe impl Send for Chunk {}

impl Chunk {
    /// A chunk of exactly `capacity` uninitialised bytes, not from the pool. `None` when refused.
    pub fn with_capacity(capacity: usize) -> Option<Chunk> {
        if is_refused() {
            return None;
        }
        Block::allocate(capacity).map(Chunk::adopt)
    }

    /// Makes the first reference to a block.
    pub(super) fn adopt(block: Block) -> Chunk {
        count_live(0, block.capacity());
        // SAFETY: the block owns a live allocation with an initialised header.
        unsafe { references(block.header) }.store(1, Ordering::Relaxed);
        Chunk { header: block.header, len: 0 }
    }

    /// How many bytes fit in all.
    #[inline]
    pub fn capacity(&self) -> usize {
        // SAFETY: our reference keeps the header alive; only `grow` writes the field, with `&mut self`.
        unsafe { (*self.header.as_ptr()).capacity }
    }

    /// How many bytes are filled.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is filled.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes still fit.
    #[inline]
    pub fn spare(&self) -> usize {
        self.capacity() - self.len
    }

    /// The filled bytes.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        // SAFETY: `len` bytes are initialised; `clear` and `grow` need `&mut self`.
        unsafe { std::slice::from_raw_parts(bytes(self.header).as_ptr(), self.len) }
    }

    /// Lets `source` fill up to `at_most` bytes of the spare tail and takes them in.
    ///
    /// There must be room: `Ok(0)` is the source's way to say that it ended.
    #[inline]
    pub fn fill_from(&mut self, source: &mut (impl Source + ?Sized), at_most: usize) -> io::Result<usize> {
        let size = self.spare().min(at_most);
        debug_assert!(size > 0, "an empty tail would look like the end of the source");
        // SAFETY: the tail lies inside the allocation, no slice reaches it, and we are the only writer.
        let tail = unsafe {
            let start = bytes(self.header).add(self.len).cast::<MaybeUninit<u8>>();
            std::slice::from_raw_parts_mut(start.as_ptr(), size)
        };
        let filled = source.fill(tail)?;
        assert!(filled <= size, "a source reports more than it was given");
        self.len += filled;
        Ok(filled)
    }

    /// Lets `fill` write to up to `at_most` bytes of the spare tail, zeros before, and takes in as many as it says.
    #[inline]
    pub fn fill_zeroed<E>(
        &mut self,
        at_most: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let size = self.spare().min(at_most);
        // SAFETY: the tail lies inside the allocation, no slice reaches it, we are the only writer, and every byte of it is
        // initialised before the reference is made.
        let tail = unsafe {
            let start = bytes(self.header).add(self.len).as_ptr();
            start.write_bytes(0, size);
            std::slice::from_raw_parts_mut(start, size)
        };
        let filled = fill(tail)?;
        assert!(filled <= size, "more is reported than there was room for");
        self.len += filled;
        Ok(filled)
    }

    /// Copies `new` to the tail.
    ///
    /// # Panics
    ///
    /// When it does not fit.
    #[inline]
    pub fn append(&mut self, new: &[u8]) {
        assert!(new.len() <= self.spare(), "more bytes than the chunk has room for");
        // SAFETY: the tail has the room, no slice reaches it, so `new` cannot overlap it either.
        unsafe {
            bytes(self.header).add(self.len).as_ptr().copy_from_nonoverlapping(new.as_ptr(), new.len())
        };
        self.len += new.len();
    }

    /// Shares the filled bytes from `start` to `end`: one locked increment.
    ///
    /// # Panics
    ///
    /// When the range is not within the filled bytes.
    #[inline]
    pub fn slice(&self, start: usize, end: usize) -> Slice {
        let (data, size) = self.range(start, end);
        // Relaxed: the reference we hold keeps the count from reaching zero meanwhile.
        // SAFETY: our own reference keeps the header alive.
        unsafe { references(self.header) }.fetch_add(1, Ordering::Relaxed);
        Slice { data, size, owner: Some(self.header) }
    }

    /// Turns the chunk into a slice by giving away the writer's own reference: no locked instruction.
    ///
    /// # Panics
    ///
    /// When the range is not within the filled bytes.
    #[inline]
    pub fn into_slice(self, start: usize, end: usize) -> Slice {
        let (data, size) = self.range(start, end);
        let this = ManuallyDrop::new(self);
        Slice { data, size, owner: Some(this.header) }
    }

    #[inline]
    fn range(&self, start: usize, end: usize) -> (NonNull<u8>, usize) {
        if end > self.len || start > end {
            out_of_range(start, end, self.len);
        }
        // SAFETY: `start` is at most `len`, so the pointer stays inside the allocation.
        (unsafe { bytes(self.header).add(start) }, end - start)
    }

    /// Whether no slice is alive. Without a slice none can be cloned, so the answer stays true until
    /// the writer cuts the next one.
    #[inline]
    pub fn is_unshared(&self) -> bool {
        // Acquire pairs with the Release of the last slice's drop: its reads are over.
        // SAFETY: our own reference keeps the header alive.
        unsafe { references(self.header) }.load(Ordering::Acquire) == 1
    }

    /// Forgets the filled bytes if no slice is alive, and says whether it did.
    #[inline]
    pub fn clear(&mut self) -> bool {
        let unshared = self.is_unshared();
        if unshared {
            self.len = 0;
        }
        unshared
    }

    /// Makes room for `capacity` bytes in all, keeping the filled ones. False when a slice is alive or
    /// the memory is refused; the chunk is then as it was. True without effect when it is that large.
    pub fn grow(&mut self, capacity: usize) -> bool {
        let before = self.capacity();
        if capacity <= before {
            return true;
        }
        if !self.is_unshared() {
            return false;
        }
        if is_refused() {
            return false;
        }
        let (Some(old), Some(new)) = (layout(before), layout(capacity)) else { return false };
        // SAFETY: ours is the only reference, `old` is the layout of the allocation, and `new` passed
        // the checks of a layout.
        let moved = unsafe { std::alloc::realloc(self.header.as_ptr().cast(), old, new.size()) };
        let Some(header) = NonNull::new(moved.cast::<Header>()) else { return false };
        // SAFETY: the allocation begins with the header that was moved, and nobody else refers to it.
        unsafe { (*header.as_ptr()).capacity = capacity };
        self.header = header;
        count_live(before, capacity);
        true
    }
}

impl Drop for Chunk {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the handle owns one reference, which ends here.
        unsafe { release(self.header) };
    }
}

/// Immutable bytes with shared ownership, or with none when they are empty.
#[derive(Debug)]
pub struct Slice {
    data: NonNull<u8>,
    size: usize,
    owner: Option<NonNull<Header>>,
}

// SAFETY: nobody writes the bytes while the slice is alive, and the count is atomic.
unsafe impl Send for Slice {}
// SAFETY: as above.
unsafe impl Sync for Slice {}

/// A slice as plain words, for a handle of another language. It owns the reference without a `Drop`.
#[derive(Clone, Copy, Debug)]
pub struct RawSlice {
    /// The first byte; never null.
    pub data: *const u8,
    /// How many bytes.
    pub size: usize,
    /// What keeps them alive; null when nothing has to.
    pub owner: *mut c_void,
}

impl Slice {
    /// No bytes and no owner.
    #[inline]
    pub const fn empty() -> Slice {
        // A readable zero: C code that prints an empty message as a string stays inside an object.
        const ZERO: &[u8; 1] = &[0];
        // SAFETY: the address of a constant is not null, and nothing writes through a slice.
        let data = unsafe { NonNull::new_unchecked(ZERO.as_ptr().cast_mut()) };
        Slice { data, size: 0, owner: None }
    }

    /// A copy in an allocation of exactly its size. `None` when the memory is refused.
    pub fn copy_of(bytes: &[u8]) -> Option<Slice> {
        if bytes.is_empty() {
            return Some(Slice::empty());
        }
        let mut chunk = Chunk::with_capacity(bytes.len())?;
        chunk.append(bytes);
        Some(chunk.into_slice(0, bytes.len()))
    }

    /// How many bytes the slice keeps alive, which may be many more than its own; 0 without an owner.
    #[inline]
    pub fn owner_capacity(&self) -> usize {
        // SAFETY: our reference keeps the header alive; `grow` does not write it while a slice exists.
        self.owner.map_or(0, |header| unsafe { (*header.as_ptr()).capacity })
    }

    /// Gives the reference away as plain words; `from_raw` takes it back.
    #[inline]
    pub fn into_raw(self) -> RawSlice {
        let this = ManuallyDrop::new(self);
        let owner = this.owner.map_or(std::ptr::null_mut(), |header| header.as_ptr().cast());
        RawSlice { data: this.data.as_ptr(), size: this.size, owner }
    }

    /// Takes a reference back.
    ///
    /// # Safety
    ///
    /// `raw` came unchanged from `into_raw`, and each `into_raw` is taken back at most once.
    #[inline]
    pub unsafe fn from_raw(raw: RawSlice) -> Slice {
        // SAFETY: `into_raw` never gives a null `data`; the caller promises that it is unchanged.
        let data = unsafe { NonNull::new_unchecked(raw.data.cast_mut()) };
        Slice { data, size: raw.size, owner: NonNull::new(raw.owner.cast()) }
    }
}

impl Deref for Slice {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range was filled when the slice was cut, stays alive by our reference, and the
        // writer writes only behind it.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.size) }
    }
}

impl Clone for Slice {
    #[inline]
    fn clone(&self) -> Slice {
        if let Some(header) = self.owner {
            // Relaxed: the reference we hold keeps the count from reaching zero meanwhile.
            // SAFETY: our own reference keeps the header alive.
            unsafe { references(header) }.fetch_add(1, Ordering::Relaxed);
        }
        Slice { data: self.data, size: self.size, owner: self.owner }
    }
}

impl Drop for Slice {
    #[inline]
    fn drop(&mut self) {
        if let Some(header) = self.owner {
            // SAFETY: the slice owns one reference, which ends here.
            unsafe { release(header) };
        }
    }
}

/// # Safety
///
/// The header is alive for as long as the result is used.
#[inline]
unsafe fn references<'a>(header: NonNull<Header>) -> &'a AtomicUsize {
    // SAFETY: promised by the caller. The borrow covers the count alone, which only atomics touch.
    unsafe { &(*header.as_ptr()).references }
}

/// The first byte after the header.
#[inline]
fn bytes(header: NonNull<Header>) -> NonNull<u8> {
    // SAFETY: every header is followed by `capacity` bytes of the same allocation.
    unsafe { header.cast::<u8>().add(HEADER_BYTES) }
}

/// # Safety
///
/// The caller owns one reference and uses nothing of the allocation afterwards.
#[inline]
unsafe fn release(header: NonNull<Header>) {
    // Release: what we did with the bytes is over before anybody sees the count go down.
    // SAFETY: the reference we give up keeps the header alive until the count has gone down.
    if unsafe { references(header) }.fetch_sub(1, Ordering::Release) == 1 {
        // SAFETY: the count went from one to zero by our hand.
        unsafe { retire(header) };
    }
}

/// Takes the allocation out of use, into the pool if it has a place.
///
/// # Safety
///
/// The count has just reached zero by the caller's hand.
#[cold]
#[inline(never)]
unsafe fn retire(header: NonNull<Header>) {
    // An Acquire load in the place of a fence, as ThreadSanitizer does not understand fences: it reads
    // from the last link of the chain of decrements and so sees all of them done.
    // SAFETY: nobody frees what the count has handed to us.
    let left = unsafe { references(header) }.load(Ordering::Acquire);
    debug_assert_eq!(left, 0, "a reference was made from none");
    let block = Block { header };
    count_live(block.capacity(), 0);
    if let Err(block) = pool::keep(block) {
        block.free();
    }
}

#[cold]
#[inline(never)]
fn out_of_range(start: usize, end: usize, len: usize) -> ! {
    panic!("bytes {start} to {end} of a chunk with {len}");
}

#[cfg(any(test, feature = "fault-injection"))]
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The capacity of all chunks of the process that something refers to; what the pool keeps is not in it.
#[cfg(any(test, feature = "fault-injection"))]
pub fn live_bytes() -> usize {
    LIVE_BYTES.load(Ordering::SeqCst)
}

/// One allocation's part of the live bytes goes from `before` to `after`.
#[inline]
fn count_live(before: usize, after: usize) {
    #[cfg(any(test, feature = "fault-injection"))]
    LIVE_BYTES.fetch_add(after.wrapping_sub(before), Ordering::SeqCst);
    #[cfg(not(any(test, feature = "fault-injection")))]
    let _ = (before, after);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// A source that writes nothing and says it wrote.
    struct Liar;

    // SAFETY: deliberately broken, for the one test that shows the lie is caught before it is used.
    unsafe impl Source for Liar {
        fn fill(&mut self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
            Ok(buffer.len() + 1)
        }
    }

    struct Failing;

    // SAFETY: reports no bytes.
    unsafe impl Source for Failing {
        fn fill(&mut self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
            buffer[0].write(b'x');
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    fn chunk_of(bytes: &[u8], capacity: usize) -> Chunk {
        let mut chunk = Chunk::with_capacity(capacity).unwrap();
        chunk.append(bytes);
        chunk
    }

    /// What `action` panics with.
    fn panic_of(action: impl FnOnce()) -> String {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action)).unwrap_err();
        let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
    }

    #[test]
    fn filling_appends_behind_what_is_there_and_stops_at_the_room() {
        let mut chunk = chunk_of(b"ab", 6);
        let mut source = &b"cdefgh"[..];
        assert_eq!(chunk.fill_from(&mut source, 3).unwrap(), 3);
        assert_eq!((chunk.filled(), chunk.len(), chunk.spare()), (&b"abcde"[..], 5, 1));
        assert_eq!(chunk.fill_from(&mut source, 9).unwrap(), 1);
        assert_eq!((chunk.filled(), chunk.spare(), source), (&b"abcdef"[..], 0, &b"gh"[..]));
    }

    #[test]
    fn a_failing_source_adds_nothing() {
        let mut chunk = chunk_of(b"ab", 6);
        assert_eq!(chunk.fill_from(&mut Failing, 4).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(chunk.filled(), b"ab");
    }

    #[test]
    fn a_source_that_reports_more_than_it_was_given_panics() {
        let mut chunk = chunk_of(b"ab", 6);
        assert!(panic_of(|| drop(chunk.fill_from(&mut Liar, 4))).contains("a source reports more"));
        assert_eq!(chunk.filled(), b"ab");
    }

    #[test]
    fn appending_more_than_fits_panics() {
        let mut chunk = chunk_of(b"ab", 4);
        assert!(panic_of(|| chunk.append(b"cde")).contains("more bytes than"));
        chunk.append(b"cd");
        assert_eq!(chunk.filled(), b"abcd");
    }

    #[test]
    fn a_slice_outside_the_filled_bytes_panics_and_takes_no_reference() {
        let chunk = chunk_of(b"abcd", 8);
        for (start, end) in [(0, 5), (3, 2), (5, 5), (usize::MAX, 0)] {
            let expected = format!("bytes {start} to {end} of a chunk with 4");
            assert_eq!(panic_of(|| drop(chunk.slice(start, end))), expected);
        }
        assert!(chunk.is_unshared());
        assert_eq!(panic_of(|| drop(chunk.into_slice(1, 5))), "bytes 1 to 5 of a chunk with 4");
    }

    #[test]
    fn slices_stay_as_they_were_while_the_writer_appends() {
        let mut chunk = chunk_of(b"abc", 8);
        let front = chunk.slice(0, 2);
        let borrowed: &[u8] = &front;
        chunk.append(b"de");
        let back = chunk.slice(2, 5);
        chunk.fill_from(&mut &b"fgh"[..], 3).unwrap();
        assert_eq!((borrowed, &*back, chunk.filled()), (&b"ab"[..], &b"cde"[..], &b"abcdefgh"[..]));
    }

    #[test]
    fn a_chunk_is_shared_until_the_last_clone_is_gone() {
        let mut chunk = chunk_of(b"abc", 8);
        assert!(chunk.is_unshared());
        let first = chunk.slice(0, 3);
        let second = first.clone();
        drop(first);
        assert!(!chunk.is_unshared() && !chunk.clear());
        assert_eq!(chunk.filled(), b"abc");
        drop(second);
        assert!(chunk.clear());
        assert_eq!((chunk.len(), chunk.spare()), (0, 8));
    }

    #[test]
    fn growing_keeps_the_filled_bytes() {
        let mut chunk = chunk_of(b"abc", 4);
        assert!(chunk.grow(100_000));
        assert_eq!((chunk.filled(), chunk.capacity()), (&b"abc"[..], 100_000));
        chunk.append(&[7; 99_997]);
        assert_eq!(chunk.spare(), 0);
        assert!(chunk.grow(10));
        assert_eq!(chunk.capacity(), 100_000);
    }

    #[test]
    fn a_shared_chunk_does_not_grow() {
        let mut chunk = chunk_of(b"abc", 4);
        let slice = chunk.slice(0, 3);
        assert!(!chunk.grow(5));
        assert!(chunk.grow(4));
        drop(slice);
        assert!(chunk.grow(5));
    }

    #[test]
    fn refused_memory_is_reported_and_changes_nothing() {
        assert!(Chunk::with_capacity(usize::MAX).is_none());
        assert!(Chunk::with_capacity(isize::MAX as usize).is_none());
        let mut chunk = chunk_of(b"abc", 4);
        assert!(!chunk.grow(usize::MAX) && !chunk.grow(isize::MAX as usize));
        // A valid layout that no machine has the memory for, so it is the allocator that refuses.
        #[cfg(not(miri))]
        assert!(Chunk::with_capacity(1 << 60).is_none() && !chunk.grow(1 << 60));
        assert_eq!((chunk.filled(), chunk.capacity()), (&b"abc"[..], 4));
    }

    #[test]
    fn a_slice_outlives_its_chunk() {
        let chunk = chunk_of(b"abc", 4);
        let slice = chunk.slice(1, 3);
        drop(chunk);
        assert_eq!(&*slice, b"bc");
    }

    #[test]
    fn a_chunk_given_away_as_a_slice_keeps_the_older_slices() {
        let chunk = chunk_of(b"abcdef", 16);
        let older = chunk.slice(0, 2);
        let last = chunk.into_slice(2, 6);
        assert_eq!((&*older, &*last, last.owner_capacity()), (&b"ab"[..], &b"cdef"[..], 16));
        drop(last);
        assert_eq!(&*older, b"ab");
    }

    #[test]
    fn an_empty_slice_has_no_owner_and_a_readable_address() {
        static EMPTY: Slice = Slice::empty();
        for slice in [EMPTY.clone(), Slice::copy_of(&[]).unwrap()] {
            assert_eq!((slice.len(), slice.owner_capacity()), (0, 0));
            let raw = slice.into_raw();
            assert!(!raw.data.is_null() && raw.owner.is_null());
            // SAFETY: `data` of an empty slice is the address of a constant.
            assert_eq!(unsafe { *raw.data }, 0);
            // SAFETY: taken back once.
            drop(unsafe { Slice::from_raw(raw) });
        }
    }

    #[test]
    fn a_copy_owns_exactly_its_size() {
        let copy = Slice::copy_of(b"hello").unwrap();
        assert_eq!((&*copy, copy.owner_capacity()), (&b"hello"[..], 5));
    }

    #[test]
    fn raw_words_carry_the_reference() {
        let chunk = chunk_of(b"abc", 4);
        let raw = chunk.slice(0, 2).into_raw();
        assert!(!chunk.is_unshared());
        // SAFETY: taken back once.
        let slice = unsafe { Slice::from_raw(raw) };
        assert_eq!(&*slice, b"ab");
        drop(slice);
        assert!(chunk.is_unshared());
    }

    #[cfg(feature = "count-locked")]
    #[test]
    fn sharing_costs_one_locked_instruction_and_letting_go_another() {
        use crate::sync::locked;

        let mut chunk = chunk_of(b"abc", 4);
        let before = locked();
        let slice = chunk.slice(0, 3);
        assert_eq!(locked() - before, 1);
        drop(slice);
        assert_eq!(locked() - before, 2);
        assert!(chunk.clear());
        chunk.append(b"def");
        let slice = chunk.into_slice(0, 3);
        let empty = Slice::empty();
        drop(empty.clone());
        drop(empty);
        assert_eq!(locked() - before, 2);
        drop(slice);
    }

    #[test]
    fn live_bytes_follow_what_is_referred_to() {
        // So large that what other tests hold at the same time does not matter.
        const LARGE: usize = if cfg!(miri) { 16 << 20 } else { 1 << 28 };
        let mut chunk = Chunk::with_capacity(16).unwrap();
        assert!(live_bytes() < LARGE);
        assert!(chunk.grow(LARGE));
        assert!(live_bytes() >= LARGE);
        let slice = chunk.into_slice(0, 0);
        assert!(live_bytes() >= LARGE);
        drop(slice);
        assert!(live_bytes() < LARGE);
    }

    /// Runs `action` and fails when it takes longer than any machine needs.
    fn within_deadline(action: impl FnOnce() + Send + 'static) {
        // Miri is some thousand times slower.
        let deadline = Duration::from_secs(if cfg!(miri) { 3600 } else { 60 });
        let (done, ended) = mpsc::channel();
        let worker = thread::spawn(move || {
            action();
            drop(done);
        });
        let waited = ended.recv_timeout(deadline);
        assert_ne!(waited, Err::<(), _>(mpsc::RecvTimeoutError::Timeout), "deadline");
        worker.join().unwrap();
    }

    /// How often the races below are run; Miri and ThreadSanitizer see them without the accident happening.
    const ROUNDS: usize = if cfg!(miri) { 8 } else { 200 };

    #[test]
    fn clearing_comes_after_all_that_the_reader_read() {
        within_deadline(|| {
            for _ in 0..ROUNDS {
                let mut chunk = chunk_of(b"before", 6);
                let slice = chunk.slice(0, 6);
                // Nothing but the count tells the writer that the reader is done.
                let reader = thread::spawn(move || assert_eq!(&*slice, b"before"));
                while !chunk.clear() {
                    thread::yield_now();
                }
                chunk.append(b"behind");
                assert_eq!(chunk.filled(), b"behind");
                reader.join().unwrap();
            }
        });
    }

    #[test]
    fn freeing_comes_after_all_that_other_readers_read() {
        within_deadline(|| {
            for _ in 0..ROUNDS {
                let chunk = chunk_of(b"abcdef", 6);
                let readers = [0, 3].map(|start| {
                    let slice = chunk.slice(start, start + 3);
                    thread::spawn(move || assert_eq!(slice[0], b"abcdef"[start]))
                });
                drop(chunk);
                readers.into_iter().for_each(|reader| reader.join().unwrap());
            }
        });
    }

    #[test]
    fn readers_drop_slices_on_other_threads_while_the_writer_appends() {
        const MESSAGES: usize = if cfg!(miri) { 150 } else { 100_000 };
        const READERS: usize = 3;
        within_deadline(|| {
            let (senders, readers): (Vec<_>, Vec<_>) = (0..READERS)
                .map(|_| {
                    let (sender, receiver) = mpsc::sync_channel::<(u8, Slice)>(4);
                    let reader = thread::spawn(move || {
                        for (value, slice) in receiver {
                            let clone = slice.clone();
                            drop(slice);
                            assert!(clone.iter().all(|&byte| byte == value), "{value}: {:?}", &*clone);
                        }
                    });
                    (sender, reader)
                })
                .unzip();
            let mut chunk = pool::take(4096).unwrap();
            let (mut cleared, mut replaced) = (0, 0);
            for index in 0..MESSAGES {
                let value = index as u8;
                let size = 1 + index % 300;
                if chunk.spare() < size {
                    if chunk.clear() {
                        cleared += 1;
                    } else {
                        chunk = pool::take(4096).unwrap();
                        replaced += 1;
                    }
                }
                let start = chunk.len();
                chunk.append(&vec![value; size]);
                senders[index % READERS].send((value, chunk.slice(start, start + size))).unwrap();
            }
            drop(senders);
            for reader in readers {
                reader.join().unwrap();
            }
            assert!(chunk.is_unshared());
            assert!(cleared + replaced > 0, "the chunk was never reused");
        });
    }
}
