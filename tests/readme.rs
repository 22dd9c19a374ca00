//! The README's table names tests that exist, and every sentence that it quotes from the specification has one.

use std::fs;
use std::path::Path;

#[test]
fn each_test_that_the_readme_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let (_, table) = readme.split_once("| the specification says | held by |").expect("the table");
    let mut rows = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let names: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds {row}");
        for name in names {
            assert!(exists(root, name), "there is no test {name}");
        }
        rows += 1;
    }
    assert_eq!(rows, 22);
}

/// Whether `path::to::file::name` is a test in one of the places where they are.
fn exists(root: &Path, name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").expect("a file and a name");
    let file = format!("{}.rs", module.replace("::", "/"));
    let attribute = format!("#[test]\nfn {function}() {{");
    ["src", "tests", "tests/interop/tests"]
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
