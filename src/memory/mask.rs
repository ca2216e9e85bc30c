//! RFC 6455 §5.3: octet i of the masked data is octet i of the data XOR octet i MOD 4 of the key. Masking
//! and unmasking are the same.
//!
//! Knows nothing of frames and where keys come from. Target bytes are written once, without being zeroed
//! before, and each kernel reads a block before it writes it, so it works in place and from place to place.

/// From this size on the wider registers win more than asking for them and the call cost.
const WIDE_MIN_BYTES: usize = 256;

/// Appends `data` masked to `out`. False when the memory is refused; `out` is then as it was.
#[inline]
#[must_use]
pub fn mask_into(out: &mut Vec<u8>, data: &[u8], key: [u8; 4]) -> bool {
    let before = out.len();
    if out.capacity() - before < data.len() && !make_room(out, data.len()) {
        return false;
    }
    // SAFETY: behind the `before` bytes is room for `data.len()` more, which `mask` initialises; `data`
    // cannot overlap what `out` owns.
    unsafe {
        mask(data.as_ptr(), out.as_mut_ptr().add(before), data.len(), u32::from_ne_bytes(key));
        out.set_len(before + data.len());
    }
    true
}

/// The same with `head` and the key itself before it: a frame, where the header is short.
#[inline]
#[must_use]
pub fn mask_behind(out: &mut Vec<u8>, head: [u8; 2], data: &[u8], key: [u8; 4]) -> bool {
    const HEADER_SIZE: usize = 6;
    let before = out.len();
    // No slice is larger than half of what can be counted.
    let more = HEADER_SIZE + data.len();
    if out.capacity() - before < more && !make_room(out, more) {
        return false;
    }
    // SAFETY: behind the `before` bytes is room for `more`, all of which are initialised here; `data` cannot overlap
    // what `out` owns.
    unsafe {
        let target = out.as_mut_ptr().add(before);
        store(target, head);
        store(target.add(head.len()), key);
        mask(data.as_ptr(), target.add(HEADER_SIZE), data.len(), u32::from_ne_bytes(key));
        out.set_len(before + more);
    }
    true
}

/// Masks `data` where it lies; its first byte is byte `offset` of the payload.
#[inline]
pub fn mask_in_place(data: &mut [u8], key: [u8; 4], offset: usize) {
    let start = data.as_mut_ptr();
    // SAFETY: source and target are the same bytes, borrowed exclusively.
    unsafe { mask(start, start, data.len(), rotate(u32::from_ne_bytes(key), offset)) };
}

#[cold]
#[inline(never)]
fn make_room(out: &mut Vec<u8>, more: usize) -> bool {
    out.try_reserve(more).is_ok()
}

/// The key as it applies from byte `offset` of the payload on.
#[inline]
fn rotate(key: u32, offset: usize) -> u32 {
    let bits = (offset % 4) as u32 * 8;
    if cfg!(target_endian = "little") { key.rotate_right(bits) } else { key.rotate_left(bits) }
}

#[inline]
fn first(key: u32) -> u8 {
    key.to_ne_bytes()[0]
}

#[inline]
fn twice(key: u32) -> u64 {
    u64::from(key) << 32 | u64::from(key)
}

/// # Safety
///
/// `source` is valid for reading `size` initialised bytes, `target` for writing as many, and the two are
/// either equal or do not overlap.
#[inline]
unsafe fn mask(source: *const u8, target: *mut u8, size: usize, key: u32) {
    // SAFETY: the caller's promise is the one each of these asks for, with `size` as compared.
    unsafe {
        if size > 16 {
            mask_long(source, target, size, key);
        } else if size >= 8 {
            let last = size - 8;
            let front = load::<u64>(source) ^ twice(key);
            let back = load::<u64>(source.add(last)) ^ twice(rotate(key, last));
            store(target, front);
            store(target.add(last), back);
        } else if size >= 4 {
            let last = size - 4;
            let front = load::<u32>(source) ^ key;
            let back = load::<u32>(source.add(last)) ^ rotate(key, last);
            store(target, front);
            store(target.add(last), back);
        } else if size > 0 {
            // Of one to three bytes these are all, some of them twice.
            let (middle, last) = (size / 2, size - 1);
            let front = *source ^ first(key);
            let between = *source.add(middle) ^ first(rotate(key, middle));
            let back = *source.add(last) ^ first(rotate(key, last));
            *target = front;
            *target.add(middle) = between;
            *target.add(last) = back;
        }
    }
}

/// # Safety
///
/// As for `mask`, with `size` above 16.
#[inline(never)]
unsafe fn mask_long(source: *const u8, target: *mut u8, size: usize, key: u32) {
    #[cfg(target_arch = "x86_64")]
    if size >= WIDE_MIN_BYTES && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the rest is the caller's promise.
        return unsafe { mask_avx2(source, target, size, key) };
    }
    // SAFETY: the caller's promise.
    unsafe { mask_blocks(source, target, size, key) }
}

/// # Safety
///
/// As for `mask_blocks`, on a processor with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn mask_avx2(source: *const u8, target: *mut u8, size: usize, key: u32) {
    // SAFETY: the caller's promise.
    unsafe { mask_blocks(source, target, size, key) }
}

/// The one loop, compiled for each width of registers.
///
/// # Safety
///
/// As for `mask`, with `size` above 16.
#[inline(always)]
unsafe fn mask_blocks(source: *const u8, target: *mut u8, size: usize, key: u32) {
    // SAFETY: every block lies within `size` bytes: the first ones as they begin below `size` less their
    // own size, the last one as it ends there.
    unsafe {
        if size <= 32 {
            let last = size - 16;
            let front = xor(load::<[u64; 2]>(source), twice(key));
            let back = xor(load::<[u64; 2]>(source.add(last)), twice(rotate(key, last)));
            store(target, front);
            store(target.add(last), back);
            return;
        }
        // The last block overlaps the ones before it, so in place it must be read before they are written.
        let last = size - 32;
        let back = xor(load::<[u64; 4]>(source.add(last)), twice(rotate(key, last)));
        let key = twice(key);
        let mut at = 0;
        while size - at > 128 {
            let block = load::<[u64; 16]>(source.add(at));
            store(target.add(at), xor(block, key));
            at += 128;
        }
        // At most 128 bytes are left, of which the last 32 are in `back`; a counted loop is unrolled.
        for _ in 0..3 {
            if at >= last {
                break;
            }
            let block = load::<[u64; 4]>(source.add(at));
            store(target.add(at), xor(block, key));
            at += 32;
        }
        store(target.add(last), back);
    }
}

#[inline(always)]
fn xor<const N: usize>(block: [u64; N], key: u64) -> [u64; N] {
    block.map(|word| word ^ key)
}

/// # Safety
///
/// `from` is valid for reading a `T`, wherever it is aligned, and any bytes are a `T`.
#[inline(always)]
unsafe fn load<T>(from: *const u8) -> T {
    // SAFETY: the caller's promise.
    unsafe { from.cast::<T>().read_unaligned() }
}

/// # Safety
///
/// `to` is valid for writing a `T`, wherever it is aligned.
#[inline(always)]
unsafe fn store<T>(to: *mut u8, value: T) {
    // SAFETY: the caller's promise.
    unsafe { to.cast::<T>().write_unaligned(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// The formula of the RFC, byte by byte.
    fn masked(data: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        data.iter().enumerate().map(|(index, byte)| byte ^ key[(index + offset) % 4]).collect()
    }

    fn sample(size: usize) -> Vec<u8> {
        (0..size).map(|index| (index * 7 + index / 251) as u8).collect()
    }

    /// All small sizes, every edge of a kernel, and some large ones.
    fn sizes() -> Vec<usize> {
        let dense = if cfg!(miri) { 70 } else { 600 };
        let edges = [127, 128, 129, 160, 161, 255, 256, 257, 288, 511, 512, 513, 1000];
        let large: &[usize] = if cfg!(miri) { &[] } else { &[4096, 65_535, (1 << 20) + 3] };
        (0..=dense).chain(edges).chain(large.iter().copied()).collect()
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455 §5.7: a single-frame masked text message with "Hello".
        let mut out = Vec::new();
        assert!(mask_into(&mut out, b"Hello", KEY));
        assert_eq!(out, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn appending_masks_every_size_and_leaves_what_is_before() {
        for size in sizes() {
            let data = sample(size + 1);
            for start in 0..2 {
                let data = &data[start..start + size];
                let mut out = b"head".to_vec();
                assert!(mask_into(&mut out, data, KEY));
                assert_eq!(&out[..4], b"head", "{size}");
                assert!(out[4..] == masked(data, KEY, 0), "{size} from {start}");
            }
        }
    }

    #[test]
    fn a_head_goes_before_it_as_it_is() {
        for size in [0, 1, 4, 16, 125] {
            let data = sample(size);
            let mut out = b"before".to_vec();
            assert!(mask_behind(&mut out, *b"hd", &data, KEY));
            assert!(out == [b"beforehd", &KEY[..], &masked(&data, KEY, 0)].concat(), "{size}");
        }
    }

    #[test]
    fn appending_into_reserved_room_does_not_move() {
        for size in [0, 3, 7, 16, 31, 300] {
            let mut out = Vec::with_capacity(size + 4);
            out.extend_from_slice(b"head");
            let (address, capacity) = (out.as_ptr(), out.capacity());
            assert!(mask_into(&mut out, &sample(size), KEY));
            assert_eq!((out.as_ptr(), out.capacity(), out.len()), (address, capacity, size + 4));
        }
    }

    #[test]
    fn in_place_masks_every_size_at_every_offset_and_nothing_around() {
        for size in sizes() {
            for offset in [0, 1, 2, 3, 4, 7, usize::MAX] {
                let mut data = sample(size + 2);
                let mut expected = data.clone();
                let offset_mod = offset % 4;
                expected[1..=size].copy_from_slice(&masked(&data[1..=size], KEY, offset_mod));
                mask_in_place(&mut data[1..=size], KEY, offset);
                assert!(data == expected, "{size} at {offset}");
            }
        }
    }

    #[test]
    fn pieces_masked_at_their_offsets_are_the_whole() {
        let data = sample(700);
        for piece in [1, 3, 17, 64, 333] {
            let mut pieces = data.clone();
            let mut offset = 0;
            for part in pieces.chunks_mut(piece) {
                mask_in_place(part, KEY, offset);
                offset += part.len();
            }
            assert_eq!(pieces, masked(&data, KEY, 0), "{piece}");
        }
    }

    #[test]
    fn both_widths_of_the_loop_agree_with_the_formula() {
        for size in sizes().into_iter().filter(|&size| size > 16) {
            let mut narrow = sample(size);
            let expected = masked(&narrow, KEY, 0);
            let start = narrow.as_mut_ptr();
            // SAFETY: the same bytes, borrowed exclusively, more than 16.
            unsafe { mask_blocks(start, start, size, u32::from_ne_bytes(KEY)) };
            assert!(narrow == expected, "{size}");
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                let mut wide = sample(size);
                let start = wide.as_mut_ptr();
                // SAFETY: as above, and the processor has AVX2.
                unsafe { mask_avx2(start, start, size, u32::from_ne_bytes(KEY)) };
                assert!(wide == expected, "{size}");
            }
        }
    }

    #[test]
    fn refused_memory_leaves_the_buffer_as_it_was() {
        let mut out = b"head".to_vec();
        assert!(!make_room(&mut out, usize::MAX) && !make_room(&mut out, isize::MAX as usize));
        assert_eq!(out, b"head");
    }
}
