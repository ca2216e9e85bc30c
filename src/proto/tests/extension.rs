//! permessage-deflate as it is offered and agreed: each parameter, and every way to answer what was not offered.

use super::super::handshake::{Agreement, Offer};

const DEFAULT: Offer = Offer {
    client_window_bits: 15,
    server_window_bits: 15,
    client_context_takeover: true,
    server_context_takeover: true,
};

const AGREED: Agreement = Agreement {
    client_window_bits: Some(15),
    server_window_bits: 15,
    client_context_takeover: true,
    server_context_takeover: true,
};

fn judge(offer: Offer, answer: &str) -> Result<Option<Agreement>, String> {
    offer.judge(answer.as_bytes())
}

#[track_caller]
fn agrees(offer: Offer, answer: &str, agreement: Agreement) {
    assert_eq!(judge(offer, answer), Ok(Some(agreement)), "{answer}");
}

#[track_caller]
fn refuses(offer: Offer, answer: &str, part: &str) {
    let detail = judge(offer, answer).expect_err(answer);
    assert!(detail.contains(part), "{answer}: {detail}");
}

#[test]
fn an_offer_says_what_differs_from_the_greatest() {
    let limited = Offer {
        client_window_bits: 9,
        server_window_bits: 8,
        client_context_takeover: false,
        server_context_takeover: false,
    };
    assert_eq!(DEFAULT.header(), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        limited.header(),
        "permessage-deflate; client_max_window_bits=9; server_max_window_bits=8; client_no_context_takeover; \
         server_no_context_takeover"
    );
}

#[test]
fn no_answer_and_an_empty_list_agree_on_nothing() {
    for answer in ["", " ", ",", " ,\t, "] {
        assert_eq!(judge(DEFAULT, answer), Ok(None), "{answer:?}");
    }
}

#[test]
fn every_parameter_that_was_offered_may_be_answered() {
    agrees(DEFAULT, "permessage-deflate", AGREED);
    agrees(DEFAULT, "Permessage-Deflate", AGREED);
    agrees(DEFAULT, ", permessage-deflate ,", AGREED);
    agrees(
        DEFAULT,
        "permessage-deflate; server_no_context_takeover",
        Agreement { server_context_takeover: false, ..AGREED },
    );
    agrees(
        DEFAULT,
        "permessage-deflate;client_no_context_takeover",
        Agreement { client_context_takeover: false, ..AGREED },
    );
    for bits in 8..=15 {
        let server = Agreement { server_window_bits: bits, ..AGREED };
        agrees(DEFAULT, &format!("permessage-deflate; server_max_window_bits={bits}"), server);
        agrees(DEFAULT, &format!("permessage-deflate; server_max_window_bits = \"{bits}\""), server);
        // Raw deflate has no window of 8 bits, so nothing is compressed then.
        let client = Agreement { client_window_bits: (bits > 8).then_some(bits), ..AGREED };
        agrees(DEFAULT, &format!("permessage-deflate; client_max_window_bits={bits}"), client);
    }
    agrees(
        DEFAULT,
        r#"permessage-deflate; client_max_window_bits="1\0""#,
        Agreement { client_window_bits: Some(10), ..AGREED },
    );
}

#[test]
fn what_was_limited_stays_limited_whatever_is_left_out() {
    let offer = Offer { client_window_bits: 10, client_context_takeover: false, ..DEFAULT };
    let agreement = Agreement { client_window_bits: Some(10), client_context_takeover: false, ..AGREED };
    agrees(offer, "permessage-deflate", agreement);
    agrees(offer, "permessage-deflate; client_max_window_bits=10", agreement);
    agrees(
        offer,
        "permessage-deflate; client_max_window_bits=9",
        Agreement { client_window_bits: Some(9), ..agreement },
    );
    // A server may ignore the hint; a larger window is no use to us.
    agrees(offer, "permessage-deflate; client_max_window_bits=15", agreement);
}

#[test]
fn a_server_that_ignores_its_limits_is_refused() {
    let window = Offer { server_window_bits: 10, ..DEFAULT };
    refuses(window, "permessage-deflate", "server_max_window_bits");
    refuses(window, "permessage-deflate; server_max_window_bits=11", "server_max_window_bits");
    agrees(
        window,
        "permessage-deflate; server_max_window_bits=10",
        Agreement { server_window_bits: 10, ..AGREED },
    );
    agrees(
        window,
        "permessage-deflate; server_max_window_bits=8",
        Agreement { server_window_bits: 8, ..AGREED },
    );
    let context = Offer { server_context_takeover: false, ..DEFAULT };
    refuses(context, "permessage-deflate", "server_no_context_takeover");
    agrees(
        context,
        "permessage-deflate; server_no_context_takeover",
        Agreement { server_context_takeover: false, ..AGREED },
    );
}

#[test]
fn what_is_unknown_repeated_or_has_a_wrong_value_is_refused() {
    for (parameters, part) in [
        ("; unknown", "unknown"),
        ("; mux=1", "mux"),
        ("; server_no_context_takeover; server_no_context_takeover", "repeated"),
        ("; SERVER_NO_CONTEXT_TAKEOVER; server_no_context_takeover", "repeated"),
        ("; server_max_window_bits=15; server_max_window_bits=15", "repeated"),
        ("; server_no_context_takeover=1", "server_no_context_takeover"),
        ("; client_no_context_takeover=true", "client_no_context_takeover"),
        ("; server_max_window_bits", "server_max_window_bits"),
        ("; client_max_window_bits", "client_max_window_bits"),
        ("; server_max_window_bits=7", "\"7\""),
        ("; server_max_window_bits=16", "\"16\""),
        ("; server_max_window_bits=08", "\"08\""),
        ("; client_max_window_bits=+9", "\"+9\""),
        ("; client_max_window_bits=100", "\"100\""),
        ("; client_max_window_bits=9x", "\"9x\""),
    ] {
        refuses(DEFAULT, &format!("permessage-deflate{parameters}"), part);
    }
}

#[test]
fn another_extension_is_refused() {
    refuses(DEFAULT, "x-webkit-deflate-frame", "x-webkit-deflate-frame");
    refuses(DEFAULT, "permessage-bzip2; server_no_context_takeover", "permessage-bzip2");
    refuses(DEFAULT, "permessage-deflate, permessage-deflate", "beside");
    refuses(DEFAULT, "permessage-deflate, mux", "beside");
}

#[test]
fn what_is_no_list_of_extensions_is_refused() {
    for answer in [
        ";",
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate mux",
        "permessage-deflate; =1",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"1 0\"",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\"10\\",
        "permessage-deflate; server_max_window_bits=10 11",
        "permessage-deflate; server_max_window_bits==10",
        "\"permessage-deflate\"",
        "permessage-deflate=1",
        "permessage-d\u{E9}flate",
    ] {
        refuses(DEFAULT, answer, "malformed");
    }
}
