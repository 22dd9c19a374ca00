//! Links the C relay client of libtoxcore statically, or reports which package is missing.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(toxcore) = find("libtoxcore.a") else {
        println!("cargo::error=libtoxcore.a was not found: install libtoxcore-dev (0.2.18)");
        return;
    };
    if find("libsodium.so").is_none() {
        println!("cargo::error=libsodium.so was not found: install libsodium-dev");
        return;
    }
    println!("cargo::rerun-if-changed={}", toxcore.display());
    if let Some(directory) = toxcore.parent() {
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
    // Only the static library has the internal functions: the shared one exports the public API alone.
    println!("cargo::rustc-link-lib=static=toxcore");
    for library in ["sodium", "pthread", "m"] {
        println!("cargo::rustc-link-lib={library}");
    }
}

/// Asks the C compiler, which Rust uses as its linker: it knows the library folders of this architecture.
/// It prints the name without a path if it has not found the library.
fn find(library: &str) -> Option<PathBuf> {
    let answer = Command::new("cc").arg(format!("-print-file-name={library}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    path.is_absolute().then(|| path.canonicalize().ok())?
}
