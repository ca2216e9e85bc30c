//! The process: arguments, the lines that name its addresses, and the end with its parent.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use wsstream_test_server::{Server, grammar};

struct Arguments {
    port: u16,
    serves_all: bool,
    ends_with_stdin: bool,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("wsstream-test-server: {text}");
            return ExitCode::from(2);
        }
    };
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsstream-test-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments { port: 0, serves_all: false, ends_with_stdin: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => {
                let port = words.next().ok_or("--port needs a number")?;
                arguments.port = port.parse().map_err(|_| format!("{port} is no port"))?;
            }
            "--all" => arguments.serves_all = true,
            "--until-stdin-ends" => arguments.ends_with_stdin = true,
            "--help" => {
                print!("{}", grammar::help());
                return Ok(None);
            }
            "--markdown" => {
                print!("{}", grammar::markdown());
                return Ok(None);
            }
            other => return Err(format!("no argument {other}; see --help")),
        }
    }
    Ok(Some(arguments))
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let mut server = Server::bind(arguments.port)?;
    let secure = if arguments.serves_all { Some(server.bind_secure()?) } else { None };
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on 127.0.0.1:{}", server.port())?;
    if let Some(secure) = &secure {
        writeln!(stdout, "{}ready", secure.lines())?;
    }
    stdout.flush()?;
    server.start();
    if !arguments.ends_with_stdin {
        loop {
            std::thread::park();
        }
    }
    let mut stdin = io::stdin();
    let mut buffer = [0; 64];
    while stdin.read(&mut buffer)? > 0 {}
    Ok(())
}
