//! The types of other crates in the public interface are those that the front page of the documentation lists, and only
//! files of `src/foreign/` name them. A new incompatible version of such a crate requires one of this crate, too, so no
//! such type may be added unnoticed.
//!
//! These tests read the source. An item without indentation is public if `lib.rs` or `proto.rs` exports it, and an
//! `impl` if its first line names something that they export.

#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sources::{Source, code, sources};

/// The crates that the library depends on, as they are named in the source.
fn dependencies() -> BTreeSet<String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest");
    let mut dependencies = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-") && !line.contains("workspace");
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            dependencies.insert(name.replace('-', "_"));
        }
    }
    dependencies
}

/// The names that `lib.rs` and `proto.rs` export.
fn exported(sources: &[Source]) -> BTreeSet<String> {
    let public = sources.iter().filter(|source| ["lib.rs", "proto.rs"].contains(&source.path.as_str()));
    let uses = public.flat_map(|source| source.code.split("pub use ").skip(1));
    uses.filter_map(|rest| rest.split(';').next()).flat_map(leaves).map(str::to_owned).collect()
}

/// The names that a `use` imports.
fn leaves(tree: &str) -> impl Iterator<Item = &str> {
    let parts = tree.split(['{', '}', ',']).map(str::trim).filter(|part| !part.is_empty());
    parts.filter_map(|part| part.rsplit([':', ' ']).next()).filter(|name| !name.is_empty())
}

/// The items without indentation: each with its first lines, up to its block, and the lines of the block.
fn items(code: &str) -> Vec<(String, Vec<&str>)> {
    let mut items: Vec<(String, Vec<&str>)> = Vec::new();
    let mut in_head = false;
    for line in code.lines().filter(|line| !line.is_empty() && !line.starts_with("#[")) {
        if !in_head && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            items.push((String::new(), Vec::new()));
            in_head = true;
        }
        let Some((head, body)) = items.last_mut() else { continue };
        if in_head {
            head.push_str(line);
            head.push(' ');
            // An import may contain braces.
            in_head = match head.contains("use ") {
                true => !line.ends_with(';'),
                false => !line.ends_with(['{', ';', '}']),
            };
        } else {
            body.push(line);
        }
    }
    items
}

/// The derives of items without indentation, each with the first line of its item. `thiserror::Error` is not a trait:
/// it implements that of the standard library.
fn derives(code: &str) -> Vec<(&str, String)> {
    let (mut found, mut pending) = (Vec::new(), String::new());
    for line in code.lines() {
        if line.starts_with("#[") && line.contains("derive(") {
            pending.push_str(&line.replace("thiserror::Error", ""));
        } else if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            found.push((line, std::mem::take(&mut pending)));
        }
    }
    found
}

/// The parts of an item that are visible to users.
fn visible((head, body): &(String, Vec<&str>)) -> String {
    let is = |kind: &str| head.split_whitespace().take(2).any(|word| word == kind);
    // The fields of a tuple struct are private unless they are marked `pub`.
    let hides_its_fields = is("struct") && head.contains('(') && !head.contains("(pub ");
    let mut text =
        if hides_its_fields { head.split('(').next().unwrap_or_default().into() } else { head.clone() };
    let mut inside = is("enum") || is("trait");
    let all = inside;
    for line in body {
        let start = line.trim_start();
        let begins = start.starts_with("pub ") || start.starts_with("type ") || start.starts_with("const ");
        inside |= begins;
        if inside {
            text.push_str(start);
            text.push(' ');
        }
        inside = all || inside && !line.ends_with(['{', ';', ',', '}']);
    }
    text
}

/// The types and traits of other crates that this text names, as `crate::Name`.
fn foreign_names(
    text: &str,
    imported: &BTreeMap<&str, &str>,
    dependencies: &BTreeSet<String>,
) -> Vec<String> {
    let paths = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let paths = paths.map(|path| path.trim_matches(':')).filter(|path| !path.is_empty());
    let names = paths.filter_map(|path| {
        let (first, last) = (path.split("::").next()?, path.rsplit("::").next()?);
        if dependencies.contains(first) && first != last {
            return Some(format!("{first}::{last}"));
        }
        imported.get(first).map(|origin| format!("{origin}::{last}"))
    });
    names.collect()
}

/// Whether an item with these first lines is visible to users.
fn is_public(head: &str, path: &str, exported: &BTreeSet<String>) -> bool {
    let mut words = head.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    if head.starts_with("pub use ") {
        // What `lib.rs` exports from a module is checked in that module.
        return path != "lib.rs" || head.starts_with("pub use ::");
    }
    if head.starts_with("pub ") {
        return words.nth(2).is_some_and(|name| exported.contains(name));
    }
    head.starts_with("impl") && words.any(|word| exported.contains(word))
}

/// Each type of another crate in the public interface, with the file that names it.
fn foreign_types(sources: &[Source]) -> BTreeSet<(String, String)> {
    let (exported, dependencies) = (exported(sources), dependencies());
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|source| source.path != "internals.rs") {
        let items = items(&source.code);
        let mut imported = BTreeMap::new();
        for (head, _) in &items {
            let Some(tree) = head.trim_start_matches("pub ").strip_prefix("use ") else { continue };
            let tree = tree.trim().trim_end_matches(';').trim_start_matches("::");
            let origin = tree.split("::").next().unwrap_or_default();
            if dependencies.contains(origin) {
                imported.extend(leaves(tree).map(|name| (name, origin)));
            }
        }
        for (head, derives) in derives(&source.code) {
            if is_public(head, &source.path, &exported) {
                let names = foreign_names(&derives, &imported, &dependencies);
                found.extend(names.into_iter().map(|name| (name, source.path.clone())));
            }
        }
        for item in &items {
            if is_public(&item.0, &source.path, &exported) {
                let names = foreign_names(&visible(item), &imported, &dependencies);
                found.extend(names.into_iter().map(|name| (name, source.path.clone())));
            }
        }
    }
    found
}

/// The types in the table of the documentation, as `crate::Name`.
fn listed() -> BTreeSet<String> {
    let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let lib = fs::read_to_string(lib).expect("lib.rs");
    let (_, table) = lib.split_once("//! # Types of other crates").expect("the table");
    let rows =
        table.lines().take_while(|line| !line.starts_with("//! # ")).filter(|line| line.contains("| `"));
    let mut listed = BTreeSet::new();
    for row in rows {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let names = columns[2].split(", ").map(|name| name.trim_matches('`'));
        listed.extend(names.map(|name| format!("{}::{name}", columns[1].trim_matches('`'))));
    }
    listed
}

#[test]
fn types_of_other_crates_are_those_that_the_documentation_lists() {
    let found = foreign_types(&sources());
    assert_eq!(found.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), listed());
}

#[test]
fn each_conversion_is_in_the_file_of_its_crate() {
    for (name, path) in foreign_types(&sources()) {
        let origin = name.split("::").next().expect("a crate");
        assert_eq!(path, format!("foreign/{origin}.rs"), "{name}");
    }
}

#[test]
fn a_foreign_type_in_the_interface_is_found() {
    let before = foreign_types(&sources());
    for (path, text, name) in [
        (
            "client/waker.rs",
            "impl Waker {\n    pub fn inner(&self) -> &mio::Waker {\n        &self.0\n    }\n}",
            "mio::Waker",
        ),
        (
            "client/waker.rs",
            "impl Waker {\n    pub fn new(\n        registry: &Registry,\n    ) -> Self {\n    }\n}",
            "mio::Registry",
        ),
        ("client/waker.rs", "pub struct Waker(pub Arc<mio::Waker>);", "mio::Waker"),
        (
            "status.rs",
            "pub struct Traffic {\n    pub secret: zeroize::Zeroizing<u8>,\n}",
            "zeroize::Zeroizing",
        ),
        ("error.rs", "pub enum SendError {\n    Random(rand::Error),\n}", "rand::Error"),
        (
            "status.rs",
            "#[derive(Debug, serde::Serialize)]\npub struct Traffic {\n    pub bytes: u64,\n}",
            "serde::Serialize",
        ),
        (
            "stage.rs",
            "#[cfg_attr(feature = \"serde\", derive(serde::Deserialize))]\npub enum Stage {\n    Connecting,\n}",
            "serde::Deserialize",
        ),
        ("key/mod.rs", "impl zeroize::ZeroizeOnDrop for SecretKey {}", "zeroize::ZeroizeOnDrop"),
        ("key/mod.rs", "impl From<SysError> for KeyError {\n}", "rand::SysError"),
        ("events.rs", "impl Iterator for Events {\n    type Item = slab::Slab<u8>;\n}", "slab::Slab"),
        ("foreign/socks.rs", "pub use ::socks::Socks5Stream;", "socks::Socks5Stream"),
    ] {
        let mut sources = sources();
        let source = sources.iter_mut().find(|source| source.path == path).expect("a file of the library");
        source.code.push_str(&code(text));
        let new: Vec<_> = foreign_types(&sources).difference(&before).cloned().collect();
        assert_eq!(new, [(name.to_owned(), path.to_owned())], "{text}");
    }
}

#[test]
fn foreign_types_in_private_items_are_not_found() {
    let private = "pub struct Waker(Arc<mio::Waker>);\nimpl Waker {\n    pub(super) fn new(registry: &Registry) \
                   {\n        let token: mio::Token;\n    }\n}\npub fn helper(events: &mio::Events) {\n}\n";
    let mut changed = sources();
    let source = changed.iter_mut().find(|source| source.path == "client/waker.rs").expect("a file");
    source.code.push_str(private);
    assert_eq!(foreign_types(&changed), foreign_types(&sources()));
}
