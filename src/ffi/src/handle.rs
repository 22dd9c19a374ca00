//! Handles: what a C program holds of this library. One call at a time enters a handle, and a panic never leaves it.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, TryLockError};

use crate::error::trc_error;
use crate::failure::Failure;
use crate::pointer;

/// The state of a handle. Calls that would have to wait for another are refused, and so are all calls after a panic: the
/// lock is poisoned then.
pub struct Handle<T>(Mutex<T>);

impl<T> Handle<T> {
    pub(crate) fn new(state: T) -> Self {
        Self(Mutex::new(state))
    }

    fn enter<R>(&self, call: impl FnOnce(&mut T) -> Result<R, Failure>) -> Result<R, Failure> {
        match self.0.try_lock() {
            Ok(mut state) => call(&mut state),
            Err(TryLockError::WouldBlock) => Err(trc_error::Busy.into()),
            Err(TryLockError::Poisoned(_)) => Err(trc_error::Panicked.into()),
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self.0.try_lock(), Err(TryLockError::WouldBlock))
    }
}

/// Runs a call that needs no handle, and returns its number. A panic ends here.
pub(crate) fn catch(call: impl FnOnce() -> Result<(), Failure>) -> trc_error {
    attempt(call).err().unwrap_or(trc_error::None)
}

/// Runs a call with a handle, and returns its number.
pub(crate) fn run<H, T>(handle: *const H, call: impl FnOnce(&mut T) -> Result<(), Failure>) -> trc_error
where
    H: Deref<Target = Handle<T>>,
{
    value(handle, call).err().unwrap_or(trc_error::None)
}

/// Runs a call with a handle, and returns its result, or the number of its error.
pub(crate) fn value<H, T, R>(
    handle: *const H,
    call: impl FnOnce(&mut T) -> Result<R, Failure>,
) -> Result<R, trc_error>
where
    H: Deref<Target = Handle<T>>,
{
    attempt(|| pointer::reference(handle)?.enter(call))
}

fn attempt<R>(call: impl FnOnce() -> Result<R, Failure>) -> Result<R, trc_error> {
    // What a panic leaves half done is in a handle, which is never entered again, or is dropped.
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(trc_error::Panicked.into()));
    result.map_err(Failure::keep)
}

/// Frees a handle. One that is in use is kept for ever instead: to free it now would end the call that uses it badly.
pub(crate) fn free<H, T>(handle: *mut H)
where
    H: Deref<Target = Handle<T>>,
{
    catch(|| {
        let Some(handle) = pointer::take(handle) else { return Ok(()) };
        if handle.is_busy() {
            std::mem::forget(handle);
            return Err(trc_error::Busy.into());
        }
        drop(handle);
        Ok(())
    });
}

/// Declares that these types are handles, with these states.
macro_rules! handles {
    ($($name:ident: $state:ty),* $(,)?) => {
        $(
            impl $name {
                pub(crate) fn new(state: $state) -> *mut Self {
                    Box::into_raw(Box::new(Self(crate::handle::Handle::new(state))))
                }
            }

            impl std::ops::Deref for $name {
                type Target = crate::handle::Handle<$state>;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        )*
    };
}

pub(crate) use handles;

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(Handle<u32>);
    handles!(Number: u32);

    #[test]
    fn after_a_panic_a_handle_can_only_be_freed() {
        let number = Number::new(7);
        assert_eq!(value(number, |number: &mut u32| Ok(*number)), Ok(7));
        assert_eq!(run(number, |_: &mut u32| panic!("a bug, as a test")), trc_error::Panicked);
        assert_eq!(value(number, |number: &mut u32| Ok(*number)), Err(trc_error::Panicked));
        free(number);
        assert_eq!(catch(|| panic!("a bug, as a test")), trc_error::Panicked);
    }

    #[test]
    fn a_call_inside_a_call_is_refused() {
        let number = Number(Handle::new(7));
        let inner = |_: &mut u32| {
            assert_eq!(run(&raw const number, |_: &mut u32| Ok(())), trc_error::Busy);
            assert!(number.is_busy());
            Ok(())
        };
        assert_eq!(run(&raw const number, inner), trc_error::None);
        assert!(!number.is_busy());
        assert_eq!(run(std::ptr::null::<Number>(), |_: &mut u32| Ok(())), trc_error::Null);
    }
}
