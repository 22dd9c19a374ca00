//! Ends the wait of a poll from another thread.

use tox_relay_client::Waker;

use crate::error::trc_error;
use crate::handle::{catch, free};
use crate::registry;

/// Ends the wait of a poll. The only handle that several threads may use at the same time.
pub struct trc_waker(pub(crate) Waker);

impl trc_waker {
    pub(crate) fn new(waker: Waker) -> *mut Self {
        registry::add(Self(waker))
    }
}

/// Makes the current poll return, or the next one if none is waiting. Several calls before that have the effect of one.
/// May be called by any thread at any time, also after the client or the pool was freed: then it has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn trc_waker_wake(waker: *const trc_waker) -> trc_error {
    catch(|| Ok(registry::find(waker)?.0.wake()?))
}

/// Frees a waker. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_waker_free(waker: *mut trc_waker) {
    free(waker);
}
