//! The C library with the real relay and a real proxy: its programs of `src/ffi/tests`, also under valgrind.

#[path = "../../../src/ffi/tests/support/mod.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod support;

use interop::{Bootstrapd, PASSWORD, ProxyKind, RealProxy, USER};
use toxrelayclient as _; // so that cargo builds it

use support::{dead_address, run};

/// A relay, and its arguments for a program.
fn relay() -> (Bootstrapd, [String; 2]) {
    let relay = Bootstrapd::start().unwrap();
    let key = relay.public_key().iter().map(|byte| format!("{byte:02X}")).collect();
    let arguments = [relay.addr().to_string(), key];
    (relay, arguments)
}

#[test]
fn two_clients_in_c_use_each_function_on_the_real_relay() {
    let (_relay, [address, key]) = relay();
    run("tests/client.c", &[address, key, dead_address(), "real".to_owned()]);
}

#[test]
fn two_pools_in_c_use_each_function_on_real_relays() {
    let ((_first, [address, key]), (_second, [other_address, other_key])) = (relay(), relay());
    run("tests/pool.c", &[address, key, other_address, other_key, dead_address(), "real".to_owned()]);
}

#[test]
fn a_client_in_c_goes_through_a_real_proxy() {
    let (_relay, [address, key]) = relay();
    let proxy = RealProxy::start(ProxyKind::Microsocks { login: true }).unwrap();
    let at = proxy.address();
    let [right, wrong] = [PASSWORD, "wrong"].map(|password| format!("socks5://{USER}:{password}@{at}"));
    run("tests/proxy.c", &[address, key, right, at.to_string(), wrong]);
}
