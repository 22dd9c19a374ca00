//! Keys: new ones, and as text.

use std::ffi::c_char;

use tox_relay_client::{PublicKey, SecretKey};

use crate::error::trc_error;
use crate::handle::catch;
use crate::pointer::{self, write_key};
use crate::text::fixed;

/// The size of a key as text, with the zero at its end: 64 hexadecimal digits.
pub const TRC_KEY_TEXT_SIZE: usize = 65;

/// Writes a new secret key to `secret_key` (32 bytes), from the random source of the operating system. Keep it safe,
/// and overwrite copies of it after their use.
#[unsafe(no_mangle)]
pub extern "C" fn trc_generate_secret_key(secret_key: *mut u8) -> trc_error {
    catch(|| Ok(write_key(secret_key, SecretKey::generate().as_bytes())?))
}

/// Writes the public key of `secret_key` (32 bytes) to `public_key` (32 bytes).
#[unsafe(no_mangle)]
pub extern "C" fn trc_public_key(secret_key: *const u8, public_key: *mut u8) -> trc_error {
    catch(|| {
        let secret_key = SecretKey::from(pointer::key(secret_key)?);
        Ok(write_key(public_key, secret_key.public_key().as_bytes())?)
    })
}

/// Reads a public key from 64 hexadecimal digits, and writes it to `key` (32 bytes). For secret keys it works as well,
/// but leaves copies in memory.
///
/// Errors: `TRC_ERROR_KEY_...`, `TRC_ERROR_UTF8`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_key_from_text(text: *const c_char, key: *mut u8) -> trc_error {
    catch(|| {
        let read: PublicKey = pointer::text(text)?.parse()?;
        Ok(write_key(key, read.as_bytes())?)
    })
}

/// Writes `key` (32 bytes) as 64 upper-case hexadecimal digits and a zero to `text`, which has room for
/// `TRC_KEY_TEXT_SIZE` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn trc_key_to_text(key: *const u8, text: *mut c_char) -> trc_error {
    catch(|| {
        let place = pointer::out(text.cast::<[c_char; TRC_KEY_TEXT_SIZE]>())?;
        place.write(fixed(&PublicKey::from_bytes(pointer::key(key)?)));
        Ok(())
    })
}
