//! The process and its papers.

use crate::client::{Client, DEADLINE, Started, http_get, start};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;
use wsstream_test_server::grammar;

#[test]
fn the_process_ends_with_its_stdin() {
    let server = start(&["--until-stdin-ends", "--port", "0"]);
    TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    assert!(end(server).success());
}

#[test]
fn the_files_go_with_the_process() {
    let server = start(&["--all", "--until-stdin-ends"]);
    let paths = ["ca at ", "unix on ", "client key at "].map(|word| Path::new(server.said(word)).to_owned());
    assert!(paths.iter().all(|path| path.exists()), "{paths:?}");
    assert!(end(server).success());
    assert!(paths.iter().all(|path| !path.exists() && !path.parent().unwrap().exists()), "{paths:?}");
}

fn end(mut server: Started) -> ExitStatus {
    drop(server.child.stdin.take());
    let closed = Instant::now();
    loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            return status;
        }
        if closed.elapsed() > DEADLINE {
            server.child.kill().unwrap();
            panic!("the process goes on");
        }
        std::thread::yield_now();
    }
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
