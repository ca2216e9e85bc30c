//! The process and its papers.

use crate::client::{Client, DEADLINE, http_get, start};
use std::net::TcpStream;
use std::time::Instant;
use wsstream_test_server::grammar;

#[test]
fn the_process_ends_with_its_stdin() {
    let (mut child, port) = start(&["--until-stdin-ends", "--port", "0"]);
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    drop(child.stdin.take());
    let closed = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if closed.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("the process goes on");
        }
        std::thread::yield_now();
    };
    assert!(status.success());
}

#[test]
fn the_readme_holds_the_grammar() {
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&grammar::markdown()), "paste the output of --markdown into README.md");
}

#[test]
fn every_route_is_reachable_with_its_parameters_declared() {
    for route in grammar::ROUTES {
        let path = route.path.replace("ID", "any?wait_ms=0");
        let mut client = Client::send_request(&path, "");
        client.read_head();
        assert!(client.head.starts_with("HTTP/1.1 "), "{path} gave no answer: {:?}", client.head);
    }
    assert_eq!(http_get("/help"), grammar::help());
}
