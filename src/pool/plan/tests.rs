//! The plan in virtual time, with relays and peers that do what a test wants.

mod beat;
mod bounds;
mod failures;
mod histories;
mod losses;
mod memory;
mod naming;
mod paths;
mod pauses;
mod relays;
mod reviews;
mod search;
mod world;

use world::World;
