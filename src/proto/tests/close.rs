//! What a program may ask for when it closes (C01–C11).

use super::super::close::{CloseRefusal, REASON_SIZE_MAX, check_close, is_legal_on_wire};

#[test]
fn only_1000_and_the_range_for_programs_pass() {
    for code in -2..=70_000 {
        let expected = match code {
            -1 => Ok(None),
            1000 | 3000..=4999 => Ok(Some(code as u16)),
            0..=65535 => Err(CloseRefusal::Access),
            _ => Err(CloseRefusal::Argument),
        };
        assert_eq!(check_close(code, "").map(|request| request.code), expected, "{code}");
    }
    assert_eq!(check_close(i32::MIN, ""), Err(CloseRefusal::Argument));
    assert_eq!(check_close(i32::MAX, ""), Err(CloseRefusal::Argument));
}

#[test]
fn a_reason_is_measured_in_bytes_and_123_are_legal() {
    let longest = "r".repeat(REASON_SIZE_MAX);
    assert_eq!(check_close(1000, &longest).unwrap().reason, longest);
    assert_eq!(check_close(1000, &format!("{longest}r")), Err(CloseRefusal::Syntax));
    assert_eq!(check_close(-1, &"\u{20AC}".repeat(42)), Err(CloseRefusal::Syntax));
}

#[test]
fn the_code_is_judged_before_the_reason() {
    let reason = "r".repeat(200);
    assert_eq!(check_close(1001, &reason), Err(CloseRefusal::Access));
    assert_eq!(check_close(65536, &reason), Err(CloseRefusal::Argument));
}

#[test]
fn a_reason_without_a_code_gets_1000() {
    assert_eq!(check_close(-1, "why").unwrap().code, Some(1000));
    assert_eq!(check_close(-1, "").unwrap().code, None);
    assert_eq!(check_close(3000, "why").unwrap().code, Some(3000));
}

#[test]
fn registered_codes_may_be_sent_and_local_ones_may_not() {
    assert!([1000, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999].into_iter().all(is_legal_on_wire));
    assert!(![0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].into_iter().any(is_legal_on_wire));
}
