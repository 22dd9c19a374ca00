//! Handles: what a C program holds of this library. One call at a time enters a handle, and a panic never leaves it.

use std::any::Any;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, TryLockError};

use crate::error::trc_error;
use crate::failure::Failure;
use crate::registry;

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

    fn into_inner(self) -> Result<T, trc_error> {
        self.0.into_inner().map_err(|_| trc_error::Panicked)
    }
}

/// Runs a call that needs no handle, and returns its number. A panic ends here.
pub(crate) fn catch(call: impl FnOnce() -> Result<(), Failure>) -> trc_error {
    attempt(call).err().unwrap_or(trc_error::None)
}

/// Runs a call with a handle, and returns its number.
pub(crate) fn run<H, T>(handle: *const H, call: impl FnOnce(&mut T) -> Result<(), Failure>) -> trc_error
where
    H: Deref<Target = Handle<T>> + Any + Send + Sync,
{
    value(handle, call).err().unwrap_or(trc_error::None)
}

/// Runs a call with a handle, and returns its result, or the number of its error.
pub(crate) fn value<H, T, R>(
    handle: *const H,
    call: impl FnOnce(&mut T) -> Result<R, Failure>,
) -> Result<R, trc_error>
where
    H: Deref<Target = Handle<T>> + Any + Send + Sync,
{
    attempt(|| registry::find(handle)?.enter(call))
}

fn attempt<R>(call: impl FnOnce() -> Result<R, Failure>) -> Result<R, trc_error> {
    // What a panic leaves half done is in a handle, which is never entered again, or is dropped.
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(trc_error::Panicked.into()));
    result.map_err(Failure::keep)
}

/// Frees a handle; NULL is allowed. A call that uses it meanwhile comes to its end first.
pub(crate) fn free<H: Any + Send + Sync>(handle: *mut H) {
    if !handle.is_null() {
        catch(|| registry::remove(handle).map(drop).map_err(Failure::from));
    }
}

/// Frees a handle that no call uses, and runs a call with what was its state.
pub(crate) fn close<H, T>(handle: *mut H, call: impl FnOnce(T) -> Result<(), Failure>) -> trc_error
where
    H: Into<Handle<T>> + Any + Send + Sync,
{
    catch(|| call(registry::take(handle)?.into().into_inner()?))
}

/// Declares that these types are handles, with these states.
macro_rules! handles {
    ($($name:ident: $state:ty),* $(,)?) => {
        $(
            impl $name {
                pub(crate) fn new(state: $state) -> *mut Self {
                    crate::registry::add(Self(crate::handle::Handle::new(state)))
                }
            }

            impl From<$name> for crate::handle::Handle<$state> {
                fn from(handle: $name) -> Self {
                    handle.0
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
        assert_eq!(value(number, |number: &mut u32| Ok(*number)), Err(trc_error::Handle));
        assert_eq!(catch(|| panic!("a bug, as a test")), trc_error::Panicked);
    }

    #[test]
    fn a_call_inside_a_call_is_refused() {
        let number = Number::new(7);
        let inner = |_: &mut u32| {
            assert_eq!(run(number, |_: &mut u32| Ok(())), trc_error::Busy);
            assert_eq!(close(number, |_: u32| Ok(())), trc_error::Busy);
            Ok(())
        };
        assert_eq!(run(number, inner), trc_error::None);
        assert_eq!(run(std::ptr::null::<Number>(), |_: &mut u32| Ok(())), trc_error::Null);
        let inner = |number: u32| {
            assert_eq!(number, 7);
            Ok(())
        };
        assert_eq!(close(number, inner), trc_error::None);
        assert_eq!(close(number, |_: u32| Ok(())), trc_error::Handle);
    }

    #[test]
    fn a_handle_that_is_freed_in_a_call_lives_until_its_end() {
        let number = Number::new(7);
        let inner = |state: &mut u32| {
            free(number);
            assert_eq!(run(number, |_: &mut u32| Ok(())), trc_error::Handle);
            assert_eq!(*state, 7);
            Ok(())
        };
        assert_eq!(run(number, inner), trc_error::None);
    }
}
