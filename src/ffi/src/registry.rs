//! The handles that exist. What a C program holds is a number in the form of a pointer, which is looked up here: one
//! that was freed, one of another type, and one that never was a handle are found, and nothing is read through them.
//!
//! A number is not given out again before all others were. All are odd, so that none is the address of an object.

use std::any::Any;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::trc_error;

struct Registry {
    /// The number of the last handle.
    last: usize,
    handles: BTreeMap<usize, Arc<dyn Any + Send + Sync>>,
}

/// Nothing of the program runs under this lock: what is removed is dropped after it.
static REGISTRY: RwLock<Registry> = RwLock::new(Registry { last: usize::MAX, handles: BTreeMap::new() });

fn read() -> RwLockReadGuard<'static, Registry> {
    REGISTRY.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Registry> {
    REGISTRY.write().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a handle, and returns its number.
pub(crate) fn add<H: Any + Send + Sync>(handle: H) -> *mut H {
    let mut registry = write();
    let mut number = registry.last.wrapping_add(2);
    while registry.handles.contains_key(&number) {
        number = number.wrapping_add(2);
    }
    registry.last = number;
    registry.handles.insert(number, Arc::new(handle));
    ptr::without_provenance_mut(number)
}

/// The handle with this number. It exists at least until the result is dropped.
pub(crate) fn find<H: Any + Send + Sync>(number: *const H) -> Result<Arc<H>, trc_error> {
    let found = read().handles.get(&checked(number)?).cloned();
    found.and_then(|handle| handle.downcast().ok()).ok_or(trc_error::Handle)
}

/// Removes a handle, for good. A call that uses it meanwhile keeps it until its end.
pub(crate) fn remove<H: Any + Send + Sync>(number: *const H) -> Result<Arc<H>, trc_error> {
    remove_if(number, |_| true)
}

/// Removes a handle that no call uses.
pub(crate) fn take<H: Any + Send + Sync>(number: *const H) -> Result<H, trc_error> {
    let handle = remove_if(number, |handle| Arc::strong_count(handle) == 1)?;
    Arc::into_inner(handle).ok_or(trc_error::Busy)
}

fn remove_if<H: Any + Send + Sync>(
    number: *const H,
    is_free: impl FnOnce(&Arc<dyn Any + Send + Sync>) -> bool,
) -> Result<Arc<H>, trc_error> {
    let number = checked(number)?;
    let mut registry = write();
    match registry.handles.get(&number) {
        Some(handle) if !(**handle).is::<H>() => return Err(trc_error::Handle),
        Some(handle) if !is_free(handle) => return Err(trc_error::Busy),
        _ => {}
    }
    let removed = registry.handles.remove(&number);
    drop(registry);
    removed.and_then(|handle| handle.downcast().ok()).ok_or(trc_error::Handle)
}

fn checked<H>(number: *const H) -> Result<usize, trc_error> {
    if number.is_null() { Err(trc_error::Null) } else { Ok(number.addr()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_handle_is_found() {
        let number = add(7_u32);
        assert_eq!(find(number).as_deref(), Ok(&7));
        assert_eq!(find(number.cast::<u64>()), Err(trc_error::Handle), "another type");
        assert_eq!(remove(number.cast::<u64>()), Err(trc_error::Handle), "another type");
        assert_eq!(find(&raw const *Box::new(7_u32)), Err(trc_error::Handle), "an address");
        assert_eq!(find(ptr::null::<u32>()), Err(trc_error::Null));
        assert_eq!(remove(number).as_deref(), Ok(&7));
        assert_eq!(find(number), Err(trc_error::Handle), "it was freed");
        assert_eq!(remove(number), Err(trc_error::Handle), "it was freed");
        let next = add(8_u32);
        assert_ne!(next, number, "the number of a freed one is another handle's");
        drop(remove(next));
    }

    #[test]
    fn a_handle_that_is_used_lives_on() {
        let number = add(7_u32);
        let used = find(number).unwrap();
        assert_eq!(take(number), Err(trc_error::Busy));
        drop(remove(number));
        assert_eq!(*used, 7);
        let number = add(8_u32);
        assert_eq!(take(number), Ok(8));
        assert_eq!(take(number), Err(trc_error::Handle));
    }
}
