//! The life of a connection as far as closing is concerned, as one literal table: every state with every
//! input. Owns which Close frame is due and whether the end is clean; refuses to know frames, codes and the
//! time that limits a wait. The code of a Close never decides cleanness (K09): only the order of inputs does.
//!
#![doc = include_str!("closing.md")]

use Action::{AwaitEnd, GiveUp, Nothing, QueueClose, QueueReply, SettleClean, SettleUnclean};
use Input::{CloseReceived, CloseWritten, Failed, LocalClose, Opened, TimedOut, TransportEnded};
use State::{BothSent, CloseQueued, CloseSent, Closed, Connecting, Open, ReplyDue};

/// Where the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The opening handshake is not over.
    Connecting,
    /// Neither side has asked for the end.
    Open,
    /// Our Close is due, and not yet with the system.
    CloseQueued,
    /// Our Close is with the system, the peer's has not come.
    CloseSent,
    /// The peer's Close has come, ours is due.
    ReplyDue,
    /// Both Close frames have passed; only the end of TCP is missing.
    BothSent,
    /// Over.
    Closed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Input {
    /// The opening handshake was accepted.
    Opened,
    /// The program asked for the end.
    LocalClose,
    /// Our Close was given to the system.
    CloseWritten,
    /// The peer's Close was decoded.
    CloseReceived,
    /// The peer ended TCP.
    TransportEnded,
    /// The connection failed: by the peer's mistake, or in the transport.
    Failed,
    /// The time of the state is over: to open, to answer our Close, or to end TCP.
    TimedOut,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Break off the opening handshake and settle as never opened (O06).
    GiveUp,
    /// Our Close, with the program's code, goes out after what is framed.
    QueueClose,
    /// Our Close, with the peer's code, goes out after what is framed.
    QueueReply,
    /// Wait for the peer's end of TCP, at most a second (K17).
    AwaitEnd,
    /// `closed` settles clean with what the peer's Close said.
    SettleClean,
    /// `closed` settles unclean.
    SettleUnclean,
}

pub(super) const STATES: [State; 7] = [Connecting, Open, CloseQueued, CloseSent, ReplyDue, BothSent, Closed];
pub(super) const INPUTS: [Input; 7] =
    [Opened, LocalClose, CloseWritten, CloseReceived, TransportEnded, Failed, TimedOut];

type Row = (State, Input, State, Action);

// A row that stays and does nothing is either a repetition, which must be harmless, or a pair that cannot
// meet; the second kind is marked.
#[rustfmt::skip]
const TABLE: [Row; STATES.len() * INPUTS.len()] = [
    (Connecting,  Opened,         Open,        Nothing),
    (Connecting,  LocalClose,     Closed,      GiveUp),
    (Connecting,  CloseWritten,   Connecting,  Nothing), // cannot be: no frame before the handshake is over
    (Connecting,  CloseReceived,  Connecting,  Nothing), // cannot be: no decoder before that either
    (Connecting,  TransportEnded, Closed,      SettleUnclean),
    (Connecting,  Failed,         Closed,      SettleUnclean),
    (Connecting,  TimedOut,       Closed,      SettleUnclean),

    (Open,        Opened,         Open,        Nothing), // cannot be: it opens once
    (Open,        LocalClose,     CloseQueued, QueueClose), // C13
    (Open,        CloseWritten,   Open,        Nothing), // cannot be: none was queued
    (Open,        CloseReceived,  ReplyDue,    QueueReply), // F04
    (Open,        TransportEnded, Closed,      SettleUnclean), // K06
    (Open,        Failed,         Closed,      SettleUnclean), // K15
    (Open,        TimedOut,       Closed,      SettleUnclean),

    (CloseQueued, Opened,         CloseQueued, Nothing), // cannot be: it opens once
    (CloseQueued, LocalClose,     CloseQueued, Nothing), // C14
    (CloseQueued, CloseWritten,   CloseSent,   Nothing),
    (CloseQueued, CloseReceived,  ReplyDue,    Nothing), // the Close that is queued serves as the reply
    (CloseQueued, TransportEnded, Closed,      SettleUnclean),
    (CloseQueued, Failed,         Closed,      SettleUnclean),
    (CloseQueued, TimedOut,       Closed,      SettleUnclean), // K16

    (CloseSent,   Opened,         CloseSent,   Nothing), // cannot be: it opens once
    (CloseSent,   LocalClose,     CloseSent,   Nothing), // C14
    (CloseSent,   CloseWritten,   CloseSent,   Nothing), // cannot be: there is one Close only
    (CloseSent,   CloseReceived,  BothSent,    AwaitEnd),
    (CloseSent,   TransportEnded, Closed,      SettleUnclean), // K07
    (CloseSent,   Failed,         Closed,      SettleUnclean),
    (CloseSent,   TimedOut,       Closed,      SettleUnclean), // K16

    (ReplyDue,    Opened,         ReplyDue,    Nothing), // cannot be: it opens once
    (ReplyDue,    LocalClose,     ReplyDue,    Nothing), // C15
    (ReplyDue,    CloseWritten,   BothSent,    AwaitEnd),
    (ReplyDue,    CloseReceived,  ReplyDue,    Nothing), // cannot be: nothing is decoded after a Close
    (ReplyDue,    TransportEnded, Closed,      SettleUnclean), // K04: ours was never sent
    (ReplyDue,    Failed,         Closed,      SettleUnclean), // K08
    (ReplyDue,    TimedOut,       Closed,      SettleUnclean),

    (BothSent,    Opened,         BothSent,    Nothing), // cannot be: it opens once
    (BothSent,    LocalClose,     BothSent,    Nothing), // C14
    (BothSent,    CloseWritten,   BothSent,    Nothing), // cannot be: there is one Close only
    (BothSent,    CloseReceived,  BothSent,    Nothing), // cannot be: nothing is decoded after a Close
    (BothSent,    TransportEnded, Closed,      SettleClean), // K01
    (BothSent,    Failed,         Closed,      SettleClean), // K17: how TCP ends no longer matters
    (BothSent,    TimedOut,       Closed,      SettleClean), // K17: we end TCP ourselves

    (Closed,      Opened,         Closed,      Nothing), // the handshake was given up and is accepted late
    (Closed,      LocalClose,     Closed,      Nothing), // C14
    (Closed,      CloseWritten,   Closed,      Nothing), // our Close after a failure
    (Closed,      CloseReceived,  Closed,      Nothing),
    (Closed,      TransportEnded, Closed,      Nothing),
    (Closed,      Failed,         Closed,      Nothing),
    (Closed,      TimedOut,       Closed,      Nothing),
];

// `step` finds a row by its place, so a row that is missing, doubled or misplaced must not compile.
const _: () = {
    let mut place = 0;
    while place < TABLE.len() {
        assert!(TABLE[place].0 as usize == place / INPUTS.len());
        assert!(TABLE[place].1 as usize == place % INPUTS.len());
        place += 1;
    }
};

/// The state after the input, and what is to be done.
#[inline]
pub const fn step(state: State, input: Input) -> (State, Action) {
    let (_, _, next, action) = TABLE[state as usize * INPUTS.len() + input as usize];
    (next, action)
}
