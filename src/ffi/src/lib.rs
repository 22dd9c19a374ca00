//! The C interface of `tox-relay-client`: the library behind `include/tox_relay_client.h`, which is its documentation.
//! cbindgen generates the header from this crate (`tests/header.rs`).
//!
//! Each exported function converts its arguments (`pointer`), enters the state of its handle (`registry`, `handle`), and
//! calls the public interface of the Rust library. Errors become numbers (`error`), with details (`failure`).
//!
//! With the feature `toxcore`, the module of that name has the interface of toxcore's TCP client.
//!
//! Each module imports only from those after it in this list: `toxcore`, `pool`, `client`, `destination`, `pool_event`,
//! `event`, `status`, `reason`, `relay`, `config`, `key`, `waker`, `log`, `handle`, `registry`, `failure`, `advice`,
//! `pointer`, `error`, `text`.

#![allow(unsafe_code, reason = "#[unsafe(no_mangle)]; a test finds any other use outside of pointer.rs")]
#![allow(non_camel_case_types, reason = "the names of types are those in C")]

// In the order of the header.
mod error;

mod failure;

mod advice;
mod pointer;
mod text;

mod key;

mod config;

mod relay;

mod client;

mod pool;

mod destination;
mod event;
mod handle;
mod pool_event;
mod reason;
mod registry;
mod status;

mod waker;

mod log;

/// cbindgen:ignore
#[cfg(feature = "toxcore")]
mod toxcore;

use std::ffi::{CStr, c_char};

/// The version of this library as text, such as `0.1.0`. Never NULL; it is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version without zeros"),
        };
    VERSION.as_ptr()
}
