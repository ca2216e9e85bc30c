//! The fields of an HTTP response as they are kept with a stream: in one piece, for C.

use std::ffi::CStr;

/// Names and values in turns, a U+0000 behind each.
#[derive(Debug)]
pub(super) struct Fields(Box<[u8]>);

impl Fields {
    /// Those of a response, in its order. RFC 9110 §5.5: none has a U+0000, and httparse lets none through.
    pub fn new(fields: &[(String, Vec<u8>)]) -> Self {
        let size = fields.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut bytes = Vec::with_capacity(size);
        for part in fields.iter().flat_map(|(name, value)| [name.as_bytes(), value]) {
            bytes.extend(part.iter().filter(|byte| **byte != 0));
            bytes.push(0);
        }
        Self(bytes.into_boxed_slice())
    }

    /// The index-th value of a name.
    pub fn value(&self, name: &str, index: usize) -> Option<&CStr> {
        let mut named = self.pairs().filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()));
        named.nth(index).map(|(_, value)| value)
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &CStr)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let name = CStr::from_bytes_until_nul(rest).ok()?.to_bytes();
            let value = CStr::from_bytes_until_nul(&rest[name.len() + 1..]).ok()?;
            rest = &rest[name.len() + value.count_bytes() + 2..];
            Some((name, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    fn fields(list: &[(&str, &[u8])]) -> Fields {
        let owned: Vec<_> = list.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        Fields::new(&owned)
    }

    #[test]
    fn a_value_is_found_by_its_name_and_place() {
        let fields = fields(&[("A", b"1"), ("b", b""), ("a", b"\xff2"), ("", b"x")]);
        let value = |name, index| fields.value(name, index).map(std::ffi::CStr::to_bytes);
        assert_eq!(
            (value("a", 0), value("A", 1), value("a", 2)),
            (Some(&b"1"[..]), Some(&b"\xff2"[..]), None)
        );
        assert_eq!((value("B", 0), value("c", 0), value("", 0)), (Some(&b""[..]), None, Some(&b"x"[..])));
        assert_eq!(super::Fields::new(&[]).value("a", 0), None);
    }
}
