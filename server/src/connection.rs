//! From an accepted socket to a behaviour: reads the request, finds its route, shakes hands.

use crate::behaviour::{Made, Setting, echo::Echo};
use crate::deflate::Agreement;
use crate::grammar::{self, Action};
use crate::handshake::{Handshake, status_text};
use crate::host::Hosts;
use crate::query::{Query, Refusal};
use crate::record::Record;
use crate::request::{Request, read_head};
use crate::server::Shared;
use crate::session;
use crate::transport::Transport;
use crate::wire::{Ending, How, Wire};
use socket2::Socket;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client may take for its request head.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// Serves one accepted socket until it is over; by TLS if there are hosts for it.
pub fn serve(socket: Socket, hosts: Option<&Hosts>, shared: &Arc<Shared>) -> io::Result<()> {
    let Some(transport) = Transport::accept(socket, hosts, HEAD_WAIT)? else { return Ok(()) };
    transport.set_read_timeout(Some(HEAD_WAIT))?;
    let Some((head, early)) = read_head(&transport)? else { return Ok(()) };
    transport.set_read_timeout(None)?;
    let Some(request) = Request::parse(&head) else {
        return respond(&transport, 400, "this is no HTTP request\n");
    };
    let Some(route) = grammar::find(&request.path) else {
        return respond(&transport, 404, &format!("no route {}\n\n{}", request.path, grammar::help()));
    };
    let query = match Query::parse(route, &request.query) {
        Ok(query) => query,
        Err(refusal) => return refuse(&transport, &refusal),
    };
    let description = transport.description().to_owned();
    let setting = Setting { query: &query, request: &request, shared, tls: &description };
    if let Action::Control(answer) = route.action {
        return match answer(&setting) {
            Ok(text) => respond(&transport, 200, &text),
            Err(refusal) => refuse(&transport, &refusal),
        };
    }
    if !request.is_upgrade() {
        return respond(&transport, 426, "this route speaks WebSocket only\n");
    }
    let record = query.text("id").map(|id| shared.registry.begin(&id, &request.lines));
    switch(transport, &setting, route.action, record, early)
}

/// The WebSocket part of `serve`.
fn switch(
    transport: Transport,
    setting: &Setting,
    action: Action,
    record: Option<Arc<Record>>,
    early: Vec<u8>,
) -> io::Result<()> {
    let violations = setting.request.violations();
    for text in &violations {
        if let Some(record) = &record {
            record.violate(text);
        }
    }
    let made = (|| -> Made {
        if let Some(size) = setting.query.number("receive_buffer")? {
            transport.set_receive_buffer(size);
        }
        if let Some(size) = setting.query.number("send_buffer")? {
            transport.set_send_buffer(size);
        }
        match action {
            Action::Behave(make) => make(setting),
            _ => Ok(Box::new(Echo::default())),
        }
    })();
    let mut behaviour = match made {
        Ok(behaviour) => behaviour,
        Err(refusal) => return refuse_recorded(transport, record, &refusal, &early),
    };
    let is_spoilt = matches!(action, Action::Handshake);
    if let (false, Some(text)) = (is_spoilt, violations.first()) {
        return refuse_recorded(transport, record, &Refusal((*text).to_owned()), &early);
    }
    let (query, request) = (setting.query, setting.request);
    let planned = Agreement::from_query(query, request).and_then(|agreement| {
        Ok((Handshake::new(query, request, agreement.as_ref(), is_spoilt).plan()?, agreement))
    });
    let (plan, agreement) = match planned {
        Ok(planned) => planned,
        Err(refusal) => return refuse_recorded(transport, record, &refusal, &early),
    };
    if let (Some(record), Some(_)) = (&record, &agreement) {
        record.allow_compression();
    }
    let wire = Wire::new(transport, record, behaviour.write_pace()).deflating(agreement.as_ref());
    if let Some(wire) = plan.perform(wire, setting.shared, &early) {
        session::run(wire, &mut *behaviour, early, agreement.as_ref());
    }
    Ok(())
}

fn refuse(transport: &Transport, refusal: &Refusal) -> io::Result<()> {
    respond(transport, 400, &format!("{}\n", refusal.0))
}

fn refuse_recorded(
    transport: Transport,
    record: Option<Arc<Record>>,
    refusal: &Refusal,
    early: &[u8],
) -> io::Result<()> {
    refuse(&transport, refusal)?;
    session::finish(Wire::new(transport, record, None), Ending::now(How::Fin), early);
    Ok(())
}

/// Answers in plain HTTP; the connection ends behind it.
fn respond(transport: &Transport, status: u16, text: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        status_text(status),
        text.len()
    );
    transport.write_all(&[head.as_bytes(), text.as_bytes()].concat())?;
    transport.answer_end();
    Ok(())
}

/// `/record/ID`.
pub fn answer_record(setting: &Setting) -> Result<String, Refusal> {
    let wait = Duration::from_millis(setting.query.number_or("wait_ms", 10_000)?);
    let frame_count = setting.query.number_or("frames", 0)?;
    let deadline = Instant::now() + wait;
    let id = setting.request.path.strip_prefix("/record/").unwrap_or_default();
    match setting.shared.registry.wait(id, deadline) {
        Some(record) => Ok(record.wait(frame_count, deadline)),
        None => Err(Refusal(format!("no connection has had the id {id}"))),
    }
}

/// `/release`.
pub fn answer_release(setting: &Setting) -> Result<String, Refusal> {
    let token = setting.query.text("token").ok_or_else(|| Refusal("token is missing".to_owned()))?;
    setting.shared.tokens.release(token);
    Ok("released\n".to_owned())
}

/// `/help`.
pub fn answer_help(_setting: &Setting) -> Result<String, Refusal> {
    Ok(grammar::help())
}
