//! What a pool remembers over a restart, as text.

use std::ffi::c_char;

use tox_relay_client::pool::Remembered;

use crate::error::trc_error;
use crate::failure::{Failure, trc_error_details};
use crate::handle::{catch, run};
use crate::pointer;
use crate::pool::trc_pool;
use crate::text::c_string;

/// Writes what is worth remembering for the next start to `*text`: the relays with what is known of them, and to which
/// peers they are tied. It is JSON, ends with a zero, and has no secrets, but says who the friends are. Store it as it is,
/// and free it with `trc_text_free`. Relays that have an identity or a proxy of their own are left out.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_remember(pool: *const trc_pool, text: *mut *mut c_char) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(text)?;
        let json = serde_json::to_string(&state.pool.remember())?;
        place.write(pointer::give_text(c_string(&json)));
        Ok(())
    })
}

/// Adds the relays that were remembered, and ties them to the peers. Relays that are known get only the addresses of
/// before, and what was known of their speed and failures. No peers are added: add them before. `text` has `length` bytes,
/// and need not end with a zero. It may come from a file that others can write: the bounds of `trc_pool_add_relay` and
/// `trc_pool_tie` hold.
///
/// Writes how many relays were not added to `*refused`. (`refused` may be NULL.) A relay of a peer that is not there is one,
/// unless another peer was tied to it who is. `trc_pool_recall_error` returns which they are, and why.
///
/// Errors: `TRC_ERROR_JSON` if it is not what `trc_pool_remember` has written. Then nothing is added.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_recall(
    pool: *mut trc_pool,
    text: *const c_char,
    length: usize,
    refused: *mut usize,
) -> trc_error {
    run(pool, |state| {
        let remembered: Remembered = serde_json::from_slice(pointer::bytes(text.cast(), length)?)?;
        state.not_recalled = state.pool.recall(&remembered);
        if let Ok(place) = pointer::out(refused) {
            place.write(state.not_recalled.len());
        }
        Ok(())
    })
}

/// Writes the public key of one of the relays that the last successful `trc_pool_recall` has not added, from index 0, to
/// `public_key` (32 bytes), and why it was not added to `*details`: for example `TRC_ERROR_UNKNOWN_PEER` if the peer that
/// has told us about it is not there. Valid until the next poll.
///
/// Errors: `TRC_ERROR_ARGUMENT` if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_recall_error(
    pool: *const trc_pool,
    index: usize,
    public_key: *mut u8,
    details: *mut trc_error_details,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(details)?;
        let (relay, error) = state.not_recalled.get(index).ok_or(trc_error::Argument)?;
        pointer::write_key(public_key, relay.as_bytes())?;
        place.write((&Failure::from(error.clone())).into());
        Ok(())
    })
}

/// Frees a text that a function of this library has written to a `char **`. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_text_free(text: *mut c_char) {
    if !text.is_null() {
        catch(|| Ok(pointer::take_text(text)?));
    }
}
