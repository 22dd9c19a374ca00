//! The source files of the library, for the checks that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of the library, without comments and without its tests.
pub struct Source {
    /// The path inside `src`, with `/` on every system.
    pub path: String,
    pub code: String,
}

/// All files of the library. The C interface in `src/ffi` is a crate of its own.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources = files.iter().map(|file| {
        let path = file.strip_prefix(&root).expect("a file below src").to_string_lossy().replace('\\', "/");
        Source { path, code: code(&fs::read_to_string(file).expect("a file that can be read")) }
    });
    sources.collect()
}

/// Collects all `.rs` files in a folder and its subfolders, except those of unit tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry that can be read").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        let is_crate = path.join("Cargo.toml").exists();
        if path.is_dir() && !is_test && !is_crate {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            files.push(path);
        }
    }
}

/// The code without line comments, and without each item after a `#[cfg(test)]`, up to the end of its block.
pub fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            // An item without a block ends in its first line. One with a block ends at the closing brace with the same
            // indentation.
            let is_end = |line: &str| line.trim_end() == format!("{:indent$}}}", "");
            let head = lines.by_ref().find(|line| !line.trim().starts_with("#[")).unwrap_or_default();
            if !head.trim_end().ends_with([';', '}']) {
                lines.by_ref().find(|line| is_end(line));
            }
            continue;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}
