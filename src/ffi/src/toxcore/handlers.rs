//! The callbacks of a connection.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::toxcore::abi::{OnData, OnForwarding, OnOnion, OnOob, OnResponse, OnStatus};

/// A callback and its first argument. (An atomic pointer may be used by another thread than the one that has set it;
/// a lock protects it.)
pub(crate) struct Handler<F> {
    function: Option<F>,
    object: AtomicPtr<c_void>,
}

impl<F: Copy> Handler<F> {
    pub(crate) fn set(&mut self, function: Option<F>, object: *mut c_void) {
        self.function = function;
        *self.object.get_mut() = object;
    }

    /// `None` if none is set.
    pub(crate) fn get(&self) -> Option<(F, *mut c_void)> {
        Some((self.function?, self.object.load(Ordering::Relaxed)))
    }
}

impl<F> Default for Handler<F> {
    fn default() -> Self {
        Self { function: None, object: AtomicPtr::new(null_mut()) }
    }
}

/// Those of one connection. toxcore sets them when the connection is confirmed.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) response: Handler<OnResponse>,
    pub(crate) status: Handler<OnStatus>,
    pub(crate) data: Handler<OnData>,
    pub(crate) oob: Handler<OnOob>,
    pub(crate) onion: Handler<OnOnion>,
    pub(crate) forwarding: Handler<OnForwarding>,
}
