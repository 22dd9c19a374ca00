//! The layers of the library: what the core may not use, and in which direction imports run.

#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{Source, code, sources};

/// The modules, from top to bottom. Each may use those that follow it, and none before it.
const LEVELS: [&str; 22] = [
    "internals",
    "proto",
    "foreign",
    "pool",
    "client",
    "timer",
    "connection",
    "proxy",
    "crypto",
    "wire",
    "deframer",
    "events",
    "event",
    "status",
    "advice",
    "config",
    "error",
    "id",
    "key",
    "stage",
    "address",
    "phrase",
];

/// The modules of the core, which takes bytes, times and random numbers as arguments.
const CORE: [&str; 6] = ["timer", "connection", "proxy", "crypto", "wire", "deframer"];

/// Names that the core may not contain.
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

/// The files that may contain `unsafe`.
const UNSAFE: [&str; 1] = ["crypto/secretbox/lanes.rs"];

impl Source {
    /// The top-level module that this file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The paths that follow `crate::`, in segments.
    fn paths(&self) -> impl Iterator<Item = Vec<&str>> {
        let end = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        self.code.split("crate::").skip(1).map(move |rest| {
            let path = &rest[..end(rest).unwrap_or(rest.len())];
            path.split("::").collect()
        })
    }

    /// The names of top-level modules that follow `crate::`.
    fn imports(&self) -> Vec<&str> {
        self.paths().map(|path| path[0]).collect()
    }

    /// The other files that this one uses: those that its paths refer to, and the modules that it declares.
    fn uses(&self, sources: &[Self]) -> Vec<String> {
        let exists = |path: &str| sources.iter().any(|source| source.path == path);
        let file = |module: &str| {
            [format!("{module}.rs"), format!("{module}/mod.rs")].into_iter().find(|path| exists(path))
        };
        let imported = self
            .paths()
            .filter_map(|path| (1..=path.len()).rev().find_map(|len| file(&path[..len].join("/"))));
        let folder = self.path.strip_suffix("/mod.rs").or(self.path.strip_suffix(".rs")).unwrap_or_default();
        let declared = self.code.lines().filter_map(|line| {
            let name = line.strip_suffix(';')?.rsplit_once("mod ")?.1;
            file(&format!("{folder}/{name}"))
        });
        imported.chain(declared).filter(|path| *path != self.path).collect()
    }

    /// Whether a `super::` refers to something outside this file. In an inline module, the first one refers to the
    /// file.
    fn reaches_out(&self) -> bool {
        let mut inner: Vec<String> = Vec::new();
        self.code.lines().any(|line| {
            let indent = &line[..line.len() - line.trim_start().len()];
            if inner.last().is_some_and(|end| end == line) {
                inner.pop();
            } else if line.trim_end().ends_with('{') && line.split_whitespace().rev().nth(2) == Some("mod") {
                inner.push(format!("{indent}}}"));
            }
            line.contains(&"super::".repeat(inner.len() + 1))
        })
    }

    /// Whether the code contains this word, not as a part of a longer name.
    fn names(&self, word: &str) -> bool {
        let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
        let starts = word.starts_with(part_of_a_name);
        let ends = word.ends_with(part_of_a_name);
        self.code.match_indices(word).any(|(at, _)| {
            let before = self.code[..at].chars().next_back().is_some_and(part_of_a_name);
            let after = self.code[at + word.len()..].chars().next().is_some_and(part_of_a_name);
            !(starts && before || ends && after)
        })
    }
}

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|level| *level == module)
}

/// The imports that do not run downwards in the list of layers.
fn upward_imports(sources: &[Source]) -> Vec<String> {
    let mut errors = Vec::new();
    for source in sources.iter().filter(|source| source.path != "lib.rs") {
        for import in source.imports().into_iter().filter(|import| *import != source.module()) {
            match level(import) {
                // The names that `lib.rs` re-exports belong to modules, and are imported from there.
                None => errors.push(format!("{} uses crate::{import}, which is not a module", source.path)),
                imported if imported <= level(source.module()) => {
                    errors.push(format!("{} uses crate::{import}, above it", source.path));
                }
                _ => {}
            }
        }
        // `super::` could refer to any other module, and `imports` would not return it.
        if source.reaches_out() {
            errors.push(format!("{} uses super::", source.path));
        }
    }
    errors
}

/// The imports between files that are part of a cycle. A file that declares a module counts as importing it.
fn cycles(sources: &[Source]) -> Vec<String> {
    let uses: BTreeMap<&str, Vec<String>> =
        sources.iter().map(|source| (source.path.as_str(), source.uses(sources))).collect();
    let reaches = |from: &str, to: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(uses[file].iter().map(String::as_str));
            }
        }
        seen.contains(to)
    };
    let imports = uses.iter().flat_map(|(user, used)| used.iter().map(move |used| (*user, used)));
    let circular = imports.filter(|(user, used)| reaches(used, user));
    circular.map(|(user, used)| format!("{user} uses {used}")).collect()
}

#[test]
fn every_module_is_in_the_list_of_layers() {
    let sources = sources();
    assert!(sources.len() > 20, "{} files", sources.len());
    for source in &sources {
        assert!(
            source.path == "lib.rs" || level(source.module()).is_some(),
            "{} is not in the list",
            source.path
        );
    }
}

#[test]
fn imports_run_one_way() {
    let sources = sources();
    assert_eq!(upward_imports(&sources), [""; 0]);
    assert_eq!(cycles(&sources), [""; 0]);
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
fn only_the_client_names_mio() {
    for source in sources() {
        assert!(!source.names("mio") || source.module() == "client", "{} names mio", source.path);
    }
}

#[test]
fn unsafe_is_only_in_the_listed_files() {
    for source in sources() {
        let is_unsafe = source.names("unsafe");
        assert!(!is_unsafe || UNSAFE.contains(&source.path.as_str()), "{} contains unsafe", source.path);
    }
}

#[test]
fn names_and_imports_are_found() {
    let text = "use crate::key::Key; // rand\n    #[cfg(test)]\n    fn only_in_tests() {\n        rand();\n    }\nfn \
                f() { crate::wire::parse(); operand(); Instant::now(); }\n#[cfg(test)]\nmod tests;\nuse std::a;\n";
    let source = Source { path: "crypto/x.rs".into(), code: code(text) };
    assert_eq!((source.module(), source.imports()), ("crypto", vec!["key", "wire"]));
    assert!(source.names("Instant::now") && source.names("a"));
    assert!(!source.names("rand") && !source.names("tests"));
}

/// The library with this line added to one of its files.
fn with_line(path: &str, line: &str) -> Vec<Source> {
    let mut sources = sources();
    let source = sources.iter_mut().find(|source| source.path == path).expect("a file of the library");
    source.code.insert_str(0, &format!("{line}\n"));
    sources
}

#[test]
fn an_import_of_a_module_above_is_found() {
    for (path, import, module) in [
        ("crypto/nonce.rs", "use crate::connection::Connection;", "connection"),
        ("client/waker.rs", "use crate::pool::Pool;", "pool"),
        ("wire/packet.rs", "use crate::proxy::Tunnel;", "proxy"),
        // Near the bottom of the list.
        ("stage.rs", "use crate::error::DisconnectReason;", "error"),
        ("error.rs", "use crate::event::Event;", "event"),
        ("phrase.rs", "use crate::address::Address;", "address"),
    ] {
        let found = upward_imports(&with_line(path, import));
        assert_eq!(found, [format!("{path} uses crate::{module}, above it")]);
    }
    let found = upward_imports(&with_line("status.rs", "use crate::{id, key};"));
    assert_eq!(found, ["status.rs uses crate::, which is not a module"]);
    let found = upward_imports(&with_line("wire/frame.rs", "use super::packet::Packet;"));
    assert_eq!(found, ["wire/frame.rs uses super::"]);
}

#[test]
fn a_cycle_inside_a_folder_is_found() {
    for (path, import, imported) in [
        ("connection/ending.rs", "use crate::connection::Connection;", "connection/mod.rs"),
        ("connection/ending.rs", "use crate::connection::opening::Opening;", "connection/opening.rs"),
        (
            "connection/queue/pages.rs",
            "use crate::connection::queue::flow::Flow;",
            "connection/queue/flow.rs",
        ),
        ("wire/frame.rs", "use crate::wire::packet::Packet;", "wire/packet.rs"),
        ("proxy/progress.rs", "use crate::proxy::Tunnel;", "proxy/mod.rs"),
    ] {
        let sources = with_line(path, import);
        assert_eq!(upward_imports(&sources), [""; 0], "{import}");
        let found = cycles(&sources);
        assert!(found.contains(&format!("{path} uses {imported}")), "{found:?}");
    }
}

#[test]
fn super_is_found_only_if_it_refers_outside_the_file() {
    let reaches_out = |code: &str| Source { path: "a/b.rs".into(), code: code.into() }.reaches_out();
    assert!(!reaches_out("pub(super) mod inner {\n    use super::A;\n}\n"));
    assert!(reaches_out("mod inner {\n    use super::super::A;\n}\n"));
    assert!(reaches_out("mod inner {\n}\nfn f() {\n    super::g();\n}\n"));
}
