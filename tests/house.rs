//! The order of the house: what the core may not know, and which way imports run.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, from the door to the ground. Each may use those of the levels below it, and none above.
const LEVELS: [&[&str]; 8] = [
    &["internals"],
    &["client"],
    &["timer"],
    &["connection"],
    &["proxy"],
    &["crypto"],
    &["wire"],
    &["event", "error", "config", "id", "key", "status", "address", "stage", "phrase"],
];

/// The modules that are the core: driven by bytes, times and random numbers that are arguments.
const CORE: [&str; 5] = ["timer", "connection", "proxy", "crypto", "wire"];

/// What the core may not name.
const FORBIDDEN: [&str; 16] = [
    "mio",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "AsFd",
    "AsRawFd",
    "Instant::now",
    "SystemTime",
    ".elapsed()",
    "rand",
    "getrandom",
    "OsRng",
    "generate(",
    "thread",
    "sleep",
];

/// The files that may say `unsafe`.
const UNSAFE: [&str; 1] = ["crypto/kernel.rs"];

/// One file of the library, without comments and without its tests.
struct Source {
    /// Below `src`, with `/` on every system.
    path: String,
    code: String,
}

impl Source {
    /// The module at the top that this file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The names of top modules that stand behind `crate::`.
    fn imports(&self) -> Vec<&str> {
        let name =
            |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.code.split("crate::").skip(1).map(|rest| &rest[..name(rest)]).collect()
    }

    fn names(&self, word: &str) -> bool {
        let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
        let starts = word.starts_with(part_of_a_name);
        let ends = word.ends_with(part_of_a_name);
        self.code.match_indices(word).any(|(at, _)| {
            let before = self.code[..at].chars().next_back().is_some_and(part_of_a_name);
            let behind = self.code[at + word.len()..].chars().next().is_some_and(part_of_a_name);
            !(starts && before || ends && behind)
        })
    }
}

fn sources() -> Vec<Source> {
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

/// All `.rs` files below a folder, but those of unit tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry that can be read").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            files.push(path);
        }
    }
}

/// The code without line comments, and without what stands under `#[cfg(test)]`: one item, up to the end of its block.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            // An item without a block ends in this line; one with a block where a line closes it, as far to the left.
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

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn every_module_has_its_place() {
    let sources = sources();
    assert!(sources.len() > 20, "{} files", sources.len());
    for source in &sources {
        assert!(source.path == "lib.rs" || level(source.module()).is_some(), "{} has no place", source.path);
    }
}

#[test]
fn imports_run_one_way() {
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let here = level(source.module());
        for import in source.imports() {
            let there = level(import);
            // The names that `lib.rs` gives out again belong to modules, and are taken from there.
            assert!(there.is_some(), "{} uses crate::{import}, which is no module", source.path);
            let is_below = there > here || there == here && here == Some(LEVELS.len() - 1);
            assert!(is_below || import == source.module(), "{} uses crate::{import}, above it", source.path);
        }
        // A file of the top would reach its neighbours that way, unseen.
        let at_the_top = !source.path.contains('/')
            || source.path.matches('/').count() == 1 && source.path.ends_with("/mod.rs");
        assert!(!(at_the_top && source.names("super")), "{} uses super", source.path);
    }
}

#[test]
fn the_timer_imports_nothing() {
    for source in sources().iter().filter(|source| source.module() == "timer") {
        assert_eq!(source.imports(), [""; 0], "{}", source.path);
    }
}

#[test]
fn the_core_names_no_socket_no_clock_and_no_random_source() {
    for source in sources().iter().filter(|source| CORE.contains(&source.module())) {
        for word in FORBIDDEN {
            assert!(!source.names(word), "{} names {word}", source.path);
        }
    }
}

#[test]
fn only_the_loop_knows_mio() {
    for source in sources() {
        assert!(!source.names("mio") || source.module() == "client", "{} names mio", source.path);
    }
}

#[test]
fn only_the_kernel_says_unsafe() {
    for source in sources() {
        let says = source.names("unsafe");
        assert!(!says || UNSAFE.contains(&source.path.as_str()), "{} says unsafe", source.path);
    }
}

#[test]
fn this_check_finds_what_it_looks_for() {
    let text = "use crate::key::Key; // rand\n    #[cfg(test)]\n    fn only_in_tests() {\n        rand();\n    }\nfn f() { \
                crate::wire::parse(); operand(); Instant::now(); }\n#[cfg(test)]\nmod tests;\nuse std::a;\n";
    let source = Source { path: "crypto/x.rs".into(), code: code(text) };
    assert_eq!((source.module(), source.imports()), ("crypto", vec!["key", "wire"]));
    assert!(source.names("Instant::now") && source.names("a"));
    assert!(!source.names("rand") && !source.names("tests"));
}
