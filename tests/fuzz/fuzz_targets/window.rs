//! See `fuzz::window`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::window(data));

#[cfg(not(fuzzing))]
fn main() {
    fuzz::replay(fuzz::window);
}
