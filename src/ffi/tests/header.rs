//! The committed header is the one that this crate has. After a change of the interface:
//! `UPDATE_HEADER=1 cargo test -p tox-relay-client-ffi --test header`.

use std::fs;
use std::path::Path;

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("the configuration");
    let bindings =
        cbindgen::Builder::new().with_crate(root).with_config(config).generate().expect("a header");
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

#[test]
fn the_header_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/tox_relay_client.h");
    let generated = generated();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&file, &generated).expect("a file that can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let first =
        generated.lines().zip(committed.lines()).find(|(generated, committed)| generated != committed);
    assert!(generated == committed, "the header is not current, at: {first:?}");
}
