//! The core, compiled in from its sources: it is private to the library, and these tests drive it without its loop.
//!
//! The modules name each other by `crate::`, so a crate that includes this file also says `use library::*` at its root.

// What the library's own build looks at.
#![allow(dead_code, unused_imports, missing_docs, clippy::all)]

#[path = "../../../src/address/mod.rs"]
pub(crate) mod address;
#[path = "../../../src/config/mod.rs"]
pub(crate) mod config;
#[path = "../../../src/connection/mod.rs"]
pub(crate) mod connection;
#[path = "../../../src/crypto/mod.rs"]
pub(crate) mod crypto;
#[path = "../../../src/deframer.rs"]
pub(crate) mod deframer;
#[path = "../../../src/error.rs"]
pub(crate) mod error;
#[path = "../../../src/event.rs"]
pub(crate) mod event;
#[path = "../../../src/id.rs"]
pub(crate) mod id;
#[path = "../../../src/key/mod.rs"]
pub(crate) mod key;
#[path = "../../../src/phrase.rs"]
pub(crate) mod phrase;
#[path = "../../../src/proxy/mod.rs"]
pub(crate) mod proxy;
#[path = "../../../src/stage.rs"]
pub(crate) mod stage;
#[path = "../../../src/status.rs"]
pub(crate) mod status;
#[path = "../../../src/wire/mod.rs"]
pub(crate) mod wire;
