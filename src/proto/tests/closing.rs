//! The table of the closing handshake: total, monotone, and drawn as its documentation shows it.

use super::super::closing::{Action, INPUTS, Input, STATES, State, step};

/// The table as Markdown; an empty cell stays and does nothing.
fn draw() -> String {
    let name = |name: &dyn std::fmt::Debug| format!("{name:?}");
    let cell = |state, input| match step(state, input) {
        (next, Action::Nothing) if next == state => String::new(),
        (next, Action::Nothing) => name(&next),
        (next, action) => format!("{next:?}: {action:?}"),
    };
    let head = [vec![String::new()], INPUTS.iter().map(|input| name(input)).collect()].concat();
    let mut lines = vec![head, vec!["---".to_owned(); INPUTS.len() + 1]];
    for state in STATES {
        let cells = INPUTS.iter().map(|&input| cell(state, input)).collect();
        lines.push([vec![name(&state)], cells].concat());
    }
    lines.iter().map(|line| format!("| {} |\n", line.join(" | "))).collect()
}

#[test]
fn the_documentation_shows_the_table() {
    let shown = include_str!("../closing.md");
    let (_, table) = shown.split_once("\n\n").expect("a sentence, then the table");
    assert_eq!(table, draw(), "closing.md is:\n{table}\nand should be:\n{}", draw());
}

#[test]
fn no_step_leads_back_and_closed_is_the_end() {
    for state in STATES {
        for input in INPUTS {
            let (next, _) = step(state, input);
            assert!(next as u8 >= state as u8, "{state:?} {input:?} leads back to {next:?}");
        }
    }
    for input in INPUTS {
        assert_eq!(step(State::Closed, input), (State::Closed, Action::Nothing));
    }
}

#[test]
fn closed_settles_exactly_when_closed_is_reached() {
    for state in STATES {
        for input in INPUTS {
            let (next, action) = step(state, input);
            let settles = matches!(action, Action::SettleClean | Action::SettleUnclean | Action::GiveUp);
            assert_eq!(settles, next == State::Closed && state != State::Closed, "{state:?} {input:?}");
        }
    }
}

#[test]
fn clean_needs_both_close_frames() {
    for state in STATES {
        for input in INPUTS {
            if step(state, input).1 == Action::SettleClean {
                assert_eq!(state, State::BothSent);
            }
        }
    }
}

#[test]
fn every_end_settles_every_state() {
    for state in STATES {
        for input in [Input::TransportEnded, Input::Failed, Input::TimedOut] {
            assert_eq!(step(state, input).0, State::Closed);
        }
    }
}

#[test]
fn exactly_one_close_is_queued_on_every_path() {
    fn walk(state: State, queued: u32, depth: u32) {
        assert!(queued <= 1);
        assert!(!matches!(state, State::CloseSent | State::BothSent) || queued == 1, "{state:?}");
        if depth == 0 {
            return;
        }
        for input in INPUTS {
            let (next, action) = step(state, input);
            let is_queued = matches!(action, Action::QueueClose | Action::QueueReply);
            walk(next, queued + u32::from(is_queued), depth - 1);
        }
    }
    walk(State::Connecting, 0, 6);
}
