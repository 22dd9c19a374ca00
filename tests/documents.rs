//! The documents are correct: the tables of promises name tests that exist, the README shows the example `echo`, and
//! the functions that `lib.rs` names on the path of a packet exist.

use std::fs;
use std::path::Path;

#[test]
fn each_sentence_of_the_specification_has_tests_that_exist() {
    check_table("tests/specification.md", "| the specification says | shown by |", 22);
}

#[test]
fn each_security_promise_has_tests_that_exist() {
    check_table("tests/promises.md", "| what is promised | against | shown by |", 17);
}

#[test]
fn each_promise_of_a_pool_has_tests_that_exist() {
    check_table("tests/promises.md", "| a pool promises | against | shown by |", 25);
}

#[test]
fn each_attack_has_tests_that_exist() {
    check_table("tests/attacks.md", "| attack | what the client does | most memory held | shown by |", 52);
}

#[test]
fn the_readme_shows_the_example_echo() {
    let (readme, example) = (read("README.md"), read("examples/echo.rs"));
    let (_, program) = example.split_once("\n\nuse ").expect("a program after its documentation");
    assert!(readme.contains(&format!("```rust,no_run\nuse {}\n```\n", program.trim_end())));
}

#[test]
fn links_refer_to_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["README.md", "CHANGELOG.md", "benches/figures.md"].into_iter().chain(DOCUMENTS) {
        for link in read(file).split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let target = root.join(file).parent().expect("a folder").join(link);
            assert!(link.starts_with("https://") || target.exists(), "{file} links to {link}");
        }
    }
}

/// The documents in this folder.
const DOCUMENTS: [&str; 4] =
    ["tests/README.md", "tests/specification.md", "tests/promises.md", "tests/attacks.md"];

/// The section "Inside" of `lib.rs` names `Type::function`, each of which is in one file of `src/`.
#[test]
fn the_functions_on_the_path_of_a_packet_exist() {
    let lib = read("src/lib.rs");
    let (_, inside) = lib.split_once("//! # Inside").expect("the section");
    let (inside, _) = inside.split_once("\n\n").expect("the end of the section");
    let named: Vec<_> =
        inside.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect();
    assert!(named.len() > 10);
    let mut sources = Vec::new();
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    for (name, function) in named {
        let has = |source: &String| {
            let mut impls = source.lines().filter(|line| line.starts_with("impl"));
            impls.any(|line| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == name))
                && ["(", "<"].iter().any(|next| source.contains(&format!("fn {function}{next}")))
        };
        assert!(sources.iter().any(has), "lib.rs names {name}::{function}");
    }
}

/// The text of all source files below a folder.
fn read_all(folder: &Path, sources: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry that can be read").path();
        if path.is_dir() {
            read_all(&path, sources);
        } else {
            sources.push(fs::read_to_string(path).expect("a file that can be read"));
        }
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a file that can be read")
}

/// The table below this heading has this many rows, and the last column of each row names tests that exist.
#[track_caller]
fn check_table(file: &str, heading: &str, rows: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = read(file);
    let (_, table) = text.split_once(heading).expect("the table");
    let table: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), rows, "rows of {file}");
    for row in table {
        let (_, shown_by) = row.trim_end_matches('|').rsplit_once('|').expect("columns");
        let names: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test in {row}");
        for name in names {
            assert!(exists(root, name), "there is no test {name}");
        }
    }
}

/// Whether `path::to::file::name` is a test in one of the folders that contain tests; `path::to::file::tests::name` may
/// also be in the module `tests` at the end of that file.
fn exists(root: &Path, name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").expect("a file and a name");
    let has = |module: &str, test: String| {
        let file = format!("{}.rs", module.replace("::", "/"));
        ["src", "tests", "tests/interop/tests", "tests/simulation/tests", "tests/fuzz/tests"]
            .into_iter()
            .filter_map(|place| fs::read_to_string(root.join(place).join(&file)).ok())
            .any(|source| source.contains(&test))
    };
    let in_file = || module.strip_suffix("::tests");
    has(module, format!("#[test]\nfn {function}() {{"))
        || in_file().is_some_and(|file| has(file, format!("    #[test]\n    fn {function}() {{")))
}

#[test]
fn a_test_that_does_not_exist_is_not_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(exists(root, "documents::a_test_that_does_not_exist_is_not_found"));
    assert!(!exists(root, "documents::exists"));
    assert!(!exists(root, "documents::no_such_test"));
    assert!(!exists(root, "no_such_file::exists"));
    assert!(exists(root, "pool::registry::tests::a_stale_id_never_means_another_value"));
    assert!(!exists(root, "pool::registry::tests::insert"));
}
