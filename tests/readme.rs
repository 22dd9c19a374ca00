//! The tables of what is promised name tests that exist: the README's and that of the attacks.

use std::fs;
use std::path::Path;

#[test]
fn each_sentence_of_the_specification_has_tests_that_exist() {
    check_table("README.md", "| the specification says | held by |", 22);
}

#[test]
fn each_promise_of_security_has_tests_that_exist() {
    check_table("README.md", "| what is promised | against whom | held by |", 16);
}

#[test]
fn each_attack_has_tests_that_exist() {
    check_table(
        "tests/attacks.md",
        "| attack | what the client does | what it holds at worst | held by |",
        48,
    );
}

/// The table below this heading has so many rows, and each of them names tests that exist in its last column.
#[track_caller]
fn check_table(file: &str, heading: &str, rows: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(file)).expect("a file that can be read");
    let (_, table) = text.split_once(heading).expect("the table");
    let table: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), rows, "rows of {file}");
    for row in table {
        let (_, held_by) = row.trim_end_matches('|').rsplit_once('|').expect("columns");
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds {row}");
        for name in names {
            assert!(exists(root, name), "there is no test {name}");
        }
    }
}

/// Whether `path::to::file::name` is a test in one of the places where they are.
fn exists(root: &Path, name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").expect("a file and a name");
    let file = format!("{}.rs", module.replace("::", "/"));
    let attribute = format!("#[test]\nfn {function}() {{");
    ["src", "tests", "tests/interop/tests", "tests/world/tests", "tests/fuzz/tests"]
        .into_iter()
        .filter_map(|place| fs::read_to_string(root.join(place).join(&file)).ok())
        .any(|source| source.contains(&attribute))
}

#[test]
fn a_test_that_does_not_exist_is_not_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(exists(root, "readme::a_test_that_does_not_exist_is_not_found"));
    assert!(!exists(root, "readme::exists"));
    assert!(!exists(root, "readme::no_such_test"));
    assert!(!exists(root, "no_such_file::exists"));
}
