//! `tox-relay load`: how much a relay carries.
//!
//! The way of a packet: [`issuer`] knows when it is due and for whom ([`schedule`]), and what is in it ([`payload`]).
//! [`traffic`] sends it by the connection of a user ([`users`]), and counts it where it arrives: in a [`flow`], which
//! finds losses, and in the [`tally`] with its histograms ([`latency`]). [`attendance`] plans who comes and goes.
//! [`mod@run`] is the loop, whose phases make a [`step`]; [`session`] makes one step, or those of a [`search`], and
//! compares them with the [`target`].

mod attendance;
mod columns;
mod cpu;
mod failures;
mod flow;
mod guard;
mod issuer;
mod latency;
mod line;
mod options;
mod payload;
mod plot;
mod report;
mod run;
mod schedule;
mod search;
mod session;
mod step;
mod tally;
mod target;
mod text;
mod traffic;
mod users;

pub use options::Arguments;
pub use session::run;
