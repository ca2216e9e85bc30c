//! What is offered and agreed, and messages that come back as they went under every agreement.

use super::support::peer::Peer;
use super::support::{BINARY, Cause, FOREVER, Options, Phase, Record, Status, Stream, TEXT, server};
use super::zlib::{
    CLIENT_TAKEOVER, CLIENT_WINDOW_BITS, DEFLATE, SERVER_TAKEOVER, SERVER_WINDOW_BITS, compressing_with,
    mixture, noise, received, words,
};

#[test]
fn the_request_offers_what_the_options_ask_for() {
    for (numbers, offer) in [
        (&[][..], Some("permessage-deflate; client_max_window_bits=12")),
        (&[(DEFLATE, 0)], None),
        (&[(DEFLATE, 0), (CLIENT_WINDOW_BITS, 9), (SERVER_TAKEOVER, 0)], None),
        (&[(CLIENT_WINDOW_BITS, 15)], Some("permessage-deflate; client_max_window_bits")),
        (&[(CLIENT_WINDOW_BITS, 9)], Some("permessage-deflate; client_max_window_bits=9")),
        (
            &[(SERVER_WINDOW_BITS, 8)],
            Some("permessage-deflate; client_max_window_bits=12; server_max_window_bits=8"),
        ),
        (
            &[(CLIENT_TAKEOVER, 0), (SERVER_TAKEOVER, 0)],
            Some(
                "permessage-deflate; client_max_window_bits=12; client_no_context_takeover; \
                 server_no_context_takeover",
            ),
        ),
    ] {
        let options =
            numbers.iter().fold(Options::new(), |options, (option, value)| options.and(*option, *value));
        let peer = Peer::of_scheme(None);
        let _stream = Stream::open_with(&peer.url(), &options);
        assert_eq!(peer.accept().requested("Sec-WebSocket-Extensions"), offer, "{numbers:?}");
    }
}

#[test]
fn extensions_are_what_the_server_answered() {
    for (path, extensions) in [
        ("/echo", ""),
        ("/echo?deflate", "permessage-deflate; client_max_window_bits=12"),
        (
            "/echo?deflate&server_max_window_bits=9&client_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
    ] {
        assert_eq!(Stream::opened(&server().url(path)).extensions(), extensions);
    }
    let (stream, _connection) = compressing_with(&Options::new(), " ; server_no_context_takeover ");
    assert_eq!(stream.extensions(), "permessage-deflate ; server_no_context_takeover");
}

#[test]
fn an_answer_that_the_offer_does_not_allow_refuses_the_connection() {
    let plain: &[(u32, i64)] = &[];
    for (numbers, answer) in [
        (plain, "permessage-deflate; unknown"),
        (plain, "permessage-deflate; server_max_window_bits"),
        (plain, "permessage-deflate; server_max_window_bits=7"),
        (plain, "permessage-deflate; server_max_window_bits=16"),
        (plain, "permessage-deflate; server_max_window_bits=010"),
        (plain, "permessage-deflate; client_max_window_bits"),
        (plain, "permessage-deflate; client_max_window_bits=16"),
        (plain, "permessage-deflate; server_no_context_takeover=1"),
        (plain, "permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
        (plain, "permessage-deflate, permessage-deflate"),
        (plain, "x-webkit-deflate-frame"),
        (plain, "permessage-deflate;"),
        (&[(SERVER_WINDOW_BITS, 10)], "permessage-deflate"),
        (&[(SERVER_WINDOW_BITS, 10)], "permessage-deflate; server_max_window_bits=11"),
        (&[(SERVER_TAKEOVER, 0)], "permessage-deflate"),
        (&[(DEFLATE, 0)], "permessage-deflate"),
    ] {
        let options =
            numbers.iter().fold(Options::new(), |options, (option, value)| options.and(*option, *value));
        let query = answer.replace(' ', "%20");
        let stream = Stream::open_with(&server().url(&format!("/handshake?extensions={query}")), &options);
        assert_eq!(stream.wait_opened(FOREVER), Status::Connection, "{answer}");
        let info = stream.never_opens();
        assert_eq!((info.cause, info.phase), (Cause::Http, Phase::Handshake), "{answer}: {info:?}");
    }
}

// RFC 7692 §7.1.2.2: what is offered is a hint, and the answer a limit.
#[test]
fn a_server_may_allow_more_than_this_side_uses() {
    let messages = messages(SIZES);
    for bits in [12, 13, 15] {
        let record = echoes(&format!("&client_max_window_bits={bits}"), &Options::new(), &messages);
        assert_eq!(record.count("compressed"), compressed_count(&messages));
    }
    for answer in ["", "; client_max_window_bits=12", "; client_max_window_bits=15"] {
        let (stream, mut connection) = compressing_with(&Options::new(), answer);
        let far = [noise(1, 1000), noise(2, 4500), noise(1, 1000)].concat();
        assert_eq!(stream.write(BINARY, &far, FOREVER), Status::Ok);
        assert!(received(&mut connection).1.len() >= 6500, "what is 5500 bytes away is not referred to");
    }
}

#[test]
fn names_and_values_are_read_as_the_grammar_has_them() {
    for answer in ["; SERVER_MAX_WINDOW_BITS=\"10\"", " ;\tclient_max_window_bits = \"9\" , "] {
        let (stream, mut connection) = compressing_with(&Options::new(), answer);
        assert_eq!(stream.write(BINARY, &noise(1, 200), FOREVER), Status::Ok);
        assert_eq!(connection.receive().expect("a frame").first, 0xC2, "{answer}");
    }
}

/// Writes and reads each message; what the server says of them.
fn echoes(query: &str, options: &Options, messages: &[(u32, Vec<u8>)]) -> Record {
    let (url, id) = server().recorded(&format!("/echo?deflate{query}"));
    let stream = Stream::opened_with(&url, options);
    for (kind, data) in messages {
        assert_eq!(stream.write(*kind, data, FOREVER), Status::Ok, "{query}");
        let message = stream.read(FOREVER).unwrap_or_else(|_| panic!("{query}: {:?}", stream.wait_closed(0)));
        assert_eq!(message.kind(), *kind, "{query}");
        assert!(message.bytes() == data, "{query}: {} bytes", data.len());
    }
    assert_eq!(stream.close(1000, ""), Status::Ok);
    stream.closed_cleanly();
    server().record(&id).lawful()
}

fn messages(sizes: &[usize]) -> Vec<(u32, Vec<u8>)> {
    let pair = |(index, &size): (usize, &usize)| {
        let seed = index as u64;
        [(TEXT, words(seed, size).into_bytes()), (BINARY, mixture(seed / 2, size))]
    };
    sizes.iter().enumerate().flat_map(pair).collect()
}

const SIZES: &[usize] = &[4096, 0, 1, 127, 128, 129, 4096, 65536, 70_000, 4096, 300];

/// Of all messages so many are compressed.
fn compressed_count(messages: &[(u32, Vec<u8>)]) -> u64 {
    messages.iter().filter(|(_, data)| data.len() >= 128).count() as u64
}

#[test]
fn messages_come_back_with_every_takeover_whoever_asked_for_it() {
    let messages = messages(SIZES);
    for client in [0, 1] {
        for server in [0, 1] {
            let options = Options::with(CLIENT_TAKEOVER, client).and(SERVER_TAKEOVER, server);
            let query = format!(
                "&client_no_context_takeover={}&server_no_context_takeover={}",
                1 - client,
                1 - server
            );
            for record in [echoes("", &options, &messages), echoes(&query, &Options::new(), &messages)] {
                assert_eq!(record.count("compressed"), compressed_count(&messages));
            }
        }
    }
}

#[test]
fn messages_come_back_with_windows_of_every_size_whoever_asked_for_it() {
    let messages = messages(SIZES);
    for bits in 9..=15 {
        let (client, server) = (bits, 24 - bits);
        let wide = Options::with(CLIENT_WINDOW_BITS, 15);
        let options = Options::with(CLIENT_WINDOW_BITS, client).and(SERVER_WINDOW_BITS, server);
        let query = format!("&client_max_window_bits={client}&server_max_window_bits={server}");
        for takeover in [0, 1] {
            let options = &options;
            let no_takeover = format!("{query}&client_no_context_takeover={takeover}");
            for record in [echoes("", options, &messages), echoes(&no_takeover, &wide, &messages)] {
                assert_eq!(record.count("compressed"), compressed_count(&messages));
            }
        }
    }
}

#[test]
fn a_server_may_use_a_window_of_8_bits() {
    let messages = messages(SIZES);
    for options in [Options::new(), Options::with(SERVER_WINDOW_BITS, 8)] {
        let record = echoes("&server_max_window_bits=8", &options, &messages);
        assert_eq!(record.count("compressed"), compressed_count(&messages));
    }
}

// Raw deflate has no such window.
#[test]
fn a_server_that_wants_a_window_of_8_bits_from_this_side_gets_uncompressed_messages() {
    for bits in [9, 12, 15] {
        let options = Options::with(CLIENT_WINDOW_BITS, bits);
        let record = echoes("&client_max_window_bits=8", &options, &messages(SIZES));
        assert_eq!(record.count("compressed"), 0);
    }
}

#[test]
fn large_messages_come_back() {
    let messages = messages(&[300_000, (1 << 20) + 1]);
    let record = echoes("", &Options::new(), &messages);
    assert_eq!(record.count("compressed"), 4);
    let inflated: usize = messages.iter().map(|(_, data)| data.len()).sum();
    assert_eq!(record.count("inflated_bytes"), inflated as u64);
    echoes("&frame=70000", &Options::with(CLIENT_TAKEOVER, 0), &messages);
}
