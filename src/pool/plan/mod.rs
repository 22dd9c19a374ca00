//! The plan: which relays are connected, which routes are open, and which relay carries the data of a peer.
//!
//! It does no IO. It is told what happens and what time it is, and answers with [`Action`]s for the driver and
//! [`Notice`]s for the user. So all of it runs in tests with virtual time, and the same seed gives the same run.
//!
//! Each file uses only those after it: [`silence`] finds relays that do not answer, [`beat`] asks all of them now and
//! then, [`search`] looks for offline peers on other relays, [`review`] computes what is wanted from all that is known,
//! [`sleep`] closes routes that nobody needs, [`memory`] is what outlasts a restart, [`paths`] tells by which relay
//! something goes out, [`wishes`], [`naming`], [`network`] and [`reports`] are what the plan is told, [`need`] tells which
//! relays are needed, [`ends`] forgets connections, [`choice`] chooses the relay for data, [`room`] tells who was refused
//! that there is room, [`state`] is what is known, [`allowance`] bounds the attempts, [`relay`] and [`peer`] are what is
//! known of one, [`losses`] what a relay has lost, [`namers`] who has named it.

mod action;
mod allowance;
mod beat;
mod choice;
mod ends;
mod failures;
mod losses;
mod memory;
mod namers;
mod naming;
mod need;
mod network;
mod paths;
mod peer;
mod relay;
mod reports;
mod review;
mod room;
mod search;
mod silence;
mod sleep;
mod state;
mod wishes;

pub(super) use action::{Action, Notice, Observation};
pub(super) use state::Plan;

#[cfg(test)]
mod tests;
