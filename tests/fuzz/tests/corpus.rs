//! What fuzzing has found worth keeping, replayed on any toolchain.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Runs a target on each file of its folder.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&folder).expect("each target has a folder");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry that can be read").path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let data = fs::read(&file).expect("a file that can be read");
        let well = catch_unwind(|| target(&data)).is_ok();
        assert!(well, "replay it: cargo run -p fuzz --bin {name} -- {}", file.display());
    }
}

#[test]
fn packets() {
    replay("packets", fuzz::packets);
}

#[test]
fn streams() {
    replay("streams", fuzz::streams);
}

#[test]
fn proxies() {
    replay("proxies", fuzz::proxies);
}

#[test]
fn texts() {
    replay("texts", fuzz::texts);
}

#[test]
fn operations() {
    replay("operations", fuzz::operations);
}

#[test]
fn window() {
    replay("window", fuzz::window);
}
