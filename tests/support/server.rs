//! The test server of this process: built if it is not there, ended with the process by the end of its input.

use super::{Record, deadline, is_secure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

const NAME: &str = "wsstream-test-server";

pub struct Server {
    /// What it said before it was ready.
    lines: Vec<String>,
    ca: OnceLock<String>,
    port: u16,
    next: AtomicUsize,
    /// Its standard input ends with this process, and it with that.
    _child: Child,
}

/// The server; the deadline of the calling test begins.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    deadline::begin();
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(binary())
            .args(["--all", "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let lines = lines.map(|line| line.expect("its lines")).take_while(|line| line != "ready");
        let (ca, next) = (OnceLock::new(), AtomicUsize::new(1));
        let mut server = Self { lines: lines.collect(), ca, port: 0, next, _child: child };
        server.port = server.said("listening on 127.0.0.1:").parse().expect("a port in its line");
        server.pem("ca");
        server
    }

    /// What follows these words in its lines, as in `unix on PATH`.
    pub fn said(&self, words: &str) -> &str {
        let found = self.lines.iter().find_map(|line| line.strip_prefix(words));
        found.unwrap_or_else(|| panic!("no {words:?} in {:?}", self.lines))
    }

    /// What is in one of its files: `ca`, `unknown ca`, `client certificate`, `client key` …
    pub fn pem(&self, what: &str) -> String {
        let file = || std::fs::read_to_string(self.said(&format!("{what} at "))).expect("its file");
        // Asked for also where no file can be opened.
        if what == "ca" { self.ca.get_or_init(file).clone() } else { file() }
    }

    /// A WebSocket URL of the scheme under test.
    pub fn url(&self, path: &str) -> String {
        if is_secure() { self.wss_url(path) } else { self.ws_url(path) }
    }

    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    pub fn wss_url(&self, path: &str) -> String {
        format!("wss://127.0.0.1:{}{path}", self.said("wss on 127.0.0.1:"))
    }

    /// A WebSocket URL whose connection is recorded under the id.
    pub fn recorded(&self, path: &str) -> (String, String) {
        let id = self.token();
        let joint = if path.contains('?') { '&' } else { '?' };
        (self.url(&format!("{path}{joint}id={id}")), id)
    }

    /// A word that no other test has: an id, or a token.
    pub fn token(&self) -> String {
        format!("t{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Lets those go on that wait for the token.
    pub fn release(&self, token: &str) {
        self.fetch(&format!("/release?token={token}"));
    }

    /// What the server received, once the connection is over.
    pub fn record(&self, id: &str) -> Record {
        let record = self.try_record(id, "wait_ms=60000");
        assert_ne!(record.end, "open", "the connection goes on: {}", record.text);
        record
    }

    /// The same as soon as so many frames have come.
    pub fn record_of_frames(&self, id: &str, count: usize) -> Record {
        let record = self.try_record(id, &format!("wait_ms=60000&frames={count}"));
        assert!(record.count("frames") >= count as u64, "fewer frames than {count}: {}", record.text);
        record
    }

    /// Returns when the server has the connection's request.
    pub fn meets(&self, id: &str) {
        super::until(|| self.ask(&format!("/record/{id}?wait_ms=0")).0.starts_with("HTTP/1.1 200"));
    }

    fn try_record(&self, id: &str, query: &str) -> Record {
        Record::parse(self.fetch(&format!("/record/{id}?{query}")))
    }

    fn fetch(&self, target: &str) -> String {
        let (head, body) = self.ask(target);
        assert!(head.starts_with("HTTP/1.1 200"), "{target}: {head}: {body}");
        body
    }

    fn ask(&self, target: &str) -> (String, String) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("the server is there");
        socket.set_read_timeout(Some(Duration::from_secs(90))).expect("a time limit");
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
        (head.to_owned(), body.to_owned())
    }
}

/// Beside the test programs in a build of the whole workspace; otherwise, or where its source is newer, built in a
/// folder of its own, so that no lock of the build that runs the tests is in the way.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this program");
    let beside = test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join(NAME);
    if is_fresh(&beside) {
        return beside;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("server");
    let built = target.join("debug").join(NAME);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", NAME, "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the test server is not built");
    built
}

fn is_fresh(binary: &Path) -> bool {
    let Ok(built) = binary.metadata().and_then(|data| data.modified()) else { return false };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("server");
    newest(&package.join("src")).max(newest(&package.join("Cargo.toml"))) <= built
}

fn newest(path: &Path) -> SystemTime {
    match std::fs::read_dir(path) {
        Ok(entries) => {
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            paths.map(|path| newest(&path)).max().unwrap_or(SystemTime::UNIX_EPOCH)
        }
        Err(_) => path.metadata().and_then(|data| data.modified()).expect("a source file"),
    }
}
