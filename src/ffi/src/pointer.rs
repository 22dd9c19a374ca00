//! Pointers of C programs as references, slices and values: the only unsafe code of this crate, apart from the
//! attributes that export the functions.
//!
//! A pointer that comes from C has no lifetime and no length, so Rust cannot check it. This module turns it into a value
//! or a reference in one place, and checks what can be checked: NULL, the length of a slice, UTF-8, and that the
//! operating system knows a descriptor. The rest is what the header demands of the caller of each function:
//!
//! - a pointer that is not NULL points to what its type says, and to `length` bytes where there is a length (handles are
//!   not concerned: they are no addresses, but numbers, which `registry` knows);
//! - nobody writes there while the function runs, and nobody reads there if the function writes.
//!
//! Exported functions only pass on their own arguments. What is returned lives no longer than the call: the lifetimes
//! are chosen by the exported functions, which keep nothing that they got (they copy keys and texts, and the library
//! copies payloads).
//!
//! How it is proved: the tests in C (`tests/`) call each exported function, also with NULL and with lengths that are
//! wrong, under valgrind and under AddressSanitizer; the tests below run under Miri (`tests/sanitize`).

#![allow(unsafe_code, reason = "see above")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{ptr, slice};

use crate::error::trc_error;

/// The length of keys in bytes.
pub const TRC_KEY_SIZE: usize = 32;

/// The bytes at this address. NULL is allowed if there are none.
pub(crate) fn bytes<'a>(data: *const u8, length: usize) -> Result<&'a [u8], trc_error> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(trc_error::Null);
    }
    if isize::try_from(length).is_err() {
        return Err(trc_error::Length);
    }
    // SAFETY: not NULL, not longer than a slice can be; the caller promises that there are so many bytes.
    Ok(unsafe { slice::from_raw_parts(data, length) })
}

/// A copy of the 32 bytes at this address.
pub(crate) fn key(key: *const u8) -> Result<[u8; TRC_KEY_SIZE], trc_error> {
    if key.is_null() {
        return Err(trc_error::Null);
    }
    // SAFETY: not NULL; the caller promises that there are 32 bytes, and an array of bytes needs no alignment.
    Ok(unsafe { key.cast::<[u8; TRC_KEY_SIZE]>().read() })
}

/// A copy of the value at this address.
#[cfg(feature = "toxcore")]
pub(crate) fn value<T: Copy>(value: *const T) -> Result<T, trc_error> {
    // SAFETY: not NULL; the caller promises that it points to such a value, aligned.
    unsafe { value.as_ref() }.copied().ok_or(trc_error::Null)
}

/// The text at this address, up to its zero.
pub(crate) fn text<'a>(text: *const c_char) -> Result<&'a str, trc_error> {
    if text.is_null() {
        return Err(trc_error::Null);
    }
    // SAFETY: not NULL; the caller promises that it ends with a zero.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| trc_error::Utf8)
}

/// A place of the caller's for a value.
pub(crate) struct Out<T>(*mut T);

/// The place that this pointer points to. Nothing is read or written yet.
pub(crate) fn out<T>(place: *mut T) -> Result<Out<T>, trc_error> {
    if place.is_null() { Err(trc_error::Null) } else { Ok(Out(place)) }
}

impl<T> Out<T> {
    /// Overwrites what is there, without reading it.
    pub(crate) fn write(&self, value: T) {
        // SAFETY: not NULL; the caller promises that there is such a value, which may be uninitialised. It may be a
        // field of a packed structure, which is not aligned.
        unsafe { self.0.write_unaligned(value) }
    }
}

/// Copies a key to 32 bytes of the caller's.
pub(crate) fn write_key(place: *mut u8, key: &[u8; TRC_KEY_SIZE]) -> Result<(), trc_error> {
    out(place.cast::<[u8; TRC_KEY_SIZE]>()).map(|place| place.write(*key))
}

/// Writes the first values to an array of the caller's, as many as it has room for, and returns how many there are. NULL
/// is allowed if there is no room.
pub(crate) fn fill<T>(
    array: *mut T,
    capacity: usize,
    values: impl IntoIterator<Item = T>,
) -> Result<usize, trc_error> {
    if array.is_null() && capacity > 0 {
        return Err(trc_error::Null);
    }
    let mut count = 0;
    for value in values {
        if count < capacity {
            // SAFETY: not NULL; the caller promises that there is room for so many values.
            unsafe { array.add(count).write_unaligned(value) };
        }
        count += 1;
    }
    Ok(count)
}

/// The lengths of the texts that programs have to free, by their addresses.
static TEXTS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

fn texts() -> MutexGuard<'static, BTreeMap<usize, usize>> {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a text to the caller, until `take_text`.
pub(crate) fn give_text(text: CString) -> *mut c_char {
    let bytes = Box::leak(text.into_bytes_with_nul().into_boxed_slice());
    texts().insert(bytes.as_ptr().addr(), bytes.len());
    bytes.as_mut_ptr().cast()
}

/// Takes back what `give_text` has given to the caller, and frees it.
pub(crate) fn take_text(text: *mut c_char) -> Result<(), trc_error> {
    let length = texts().remove(&text.addr()).ok_or(trc_error::Handle)?;
    let bytes = ptr::slice_from_raw_parts_mut(text.cast::<u8>(), length);
    // SAFETY: it comes from `Box::leak` in `give_text`, with this length, and is taken back for the first time.
    drop(unsafe { Box::from_raw(bytes) });
    Ok(())
}

/// A copy of a descriptor of the caller's. An error of the operating system if it is not open.
#[cfg(unix)]
pub(crate) fn duplicate(descriptor: i32) -> std::io::Result<std::os::fd::OwnedFd> {
    if descriptor < 0 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: not -1; the caller promises not to close it during this call. One that is not open is refused by the
    // operating system.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    #[test]
    fn null_is_refused_where_something_is_needed() {
        assert_eq!(bytes(null(), 1), Err(trc_error::Null));
        assert_eq!(bytes(null(), 0), Ok(&[][..]));
        assert_eq!(key(null()), Err(trc_error::Null));
        assert_eq!(text(null()), Err(trc_error::Null));
        assert!(out(null_mut::<u64>()).is_err());
        assert_eq!(write_key(null_mut(), &[0; 32]), Err(trc_error::Null));
        assert_eq!(fill(null_mut(), 1, [7_u64]), Err(trc_error::Null));
        assert_eq!(fill(null_mut(), 0, [7_u64]), Ok(1));
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        assert_eq!(bytes(&7, usize::MAX), Err(trc_error::Length));
        assert_eq!(bytes([1, 2, 3].as_ptr(), 2), Ok(&[1, 2][..]));
    }

    #[test]
    fn what_is_read_is_what_is_there() {
        assert_eq!(key([9; 32].as_ptr()), Ok([9; 32]));
        assert_eq!(text(c"a text".as_ptr()), Ok("a text"));
        assert_eq!(text(c"\xff".as_ptr()), Err(trc_error::Utf8));
    }

    #[test]
    fn only_as_much_is_written_as_there_is_room_for() {
        let mut array = [0_u64; 3];
        assert_eq!(fill(array.as_mut_ptr(), 2, [7, 8, 9]), Ok(3));
        assert_eq!(array, [7, 8, 0]);
        let mut key = [0; 32];
        assert_eq!(write_key(key.as_mut_ptr(), &[5; 32]), Ok(()));
        assert_eq!(key, [5; 32]);
    }

    #[test]
    fn a_text_is_taken_back_once() {
        let text = give_text(c"a text".to_owned());
        out(text).unwrap().write(0); // a program has changed it
        assert_eq!(take_text(text), Ok(()));
        assert_eq!(take_text(text), Err(trc_error::Handle));
        assert_eq!(take_text(null_mut()), Err(trc_error::Handle));
    }

    #[cfg(unix)]
    #[test]
    fn a_descriptor_that_is_not_open_is_an_error() {
        assert!(duplicate(-1).is_err());
        assert!(duplicate(i32::MAX).is_err_and(|error| error.raw_os_error().is_some()));
    }
}
