//! Links the C relay client of libtoxcore statically, and says what to install when it is not there.

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
    // Only the archive has the inner functions: the shared library hides all but the public API.
    println!("cargo::rustc-link-lib=static=toxcore");
    for library in ["sodium", "pthread", "m"] {
        println!("cargo::rustc-link-lib={library}");
    }
}

/// Asks the C compiler, which Rust links with anyway: it knows the folders of this architecture.
/// It answers with the bare name when it has found nothing.
fn find(library: &str) -> Option<PathBuf> {
    let answer = Command::new("cc").arg(format!("-print-file-name={library}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    path.is_absolute().then(|| path.canonicalize().ok())?
}
