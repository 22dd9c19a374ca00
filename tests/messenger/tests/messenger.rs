//! The messenger of libtoxcore on our client: friends, messages, files, outages, proxies, load and load again. Each test
//! has a `tox-bootstrapd` of its own. `MESSENGER_LONG=1` adds what takes minutes.

use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use interop::{Bootstrapd, ProxyKind, RealProxy};
use messenger::Side::{Ours, Own};
use messenger::{Crowd, Messenger, Outcome, Pair, Program, toxcore};

const SECOND: Duration = Duration::from_secs(1);

fn is_long() -> bool {
    env::var_os("MESSENGER_LONG").is_some()
}

/// The length of a file: 20 MB, or what takes seconds.
fn file_length() -> u64 {
    if is_long() { 20_000_000 } else { 2_000_000 }
}

#[test]
fn the_linker_takes_either_client_and_never_both() -> Outcome<()> {
    for (side, takes_own) in [(Ours, false), (Own, true)] {
        let map = fs::read_to_string(&Program::get(side)?.map)?;
        let layer_above = map.lines().find(|line| line.contains("(TCP_connection.c.o)"));
        let layer_above = layer_above.ok_or("toxcore's layer above is not its own")?;
        if let Some(folder) = toxcore() {
            assert!(layer_above.starts_with(&*folder.to_string_lossy()), "{side:?}: {layer_above}");
        }
        assert_eq!(map.contains("(TCP_client.c.o)"), takes_own, "{side:?}");
    }
    Ok(())
}

/// A user may have built one without the feature `toxcore`.
#[test]
fn the_library_in_the_target_directory_is_not_replaced() -> Outcome<()> {
    let map = fs::read_to_string(&Program::get(Ours)?.map)?;
    let mut ours = map.lines().filter(|line| line.contains("libtoxrelayclient.a(")).peekable();
    assert!(ours.peek().is_some());
    assert_eq!(ours.find(|line| !line.contains("/messenger/")), None);
    Ok(())
}

#[test]
fn ours_and_its_own_exchange_messages_and_files() -> Outcome<()> {
    let mut pair = Pair::start([Ours, Own])?;
    println!("they met after {:.1?}", pair.met_after);
    println!("1,000 messages each way: {:.1?}", pair.messages(1000)?);
    for sender in [0, 1] {
        println!("a file from {:?}: {:.1?}", [Ours, Own][sender], pair.file(sender, file_length())?);
    }
    pair.end()?;
    Ok(())
}

#[test]
fn ours_returns_with_its_relay_and_from_a_saved_state() -> Outcome<()> {
    let mut pair = Pair::start([Ours, Ours])?;
    let outages: &[u32] = if is_long() { &[2, 20, 40] } else { &[2] };
    for seconds in outages {
        let back = pair.outage(*seconds * SECOND, 60 * SECOND)?;
        println!("after {seconds} s without the relay: {back:.1?}");
        assert!(back.is_some_and(|back| back < 30 * SECOND), "{seconds} s: {back:?}");
        pair.messages(100)?;
    }

    let folder = Program::get(Ours)?.path.with_extension("states");
    fs::create_dir_all(&folder)?;
    let files = [0, 1].map(|number| folder.join(number.to_string()).display().to_string());
    for (end, file) in pair.ends.iter_mut().zip(&files) {
        end.command(&format!("save {file}"))?;
        end.wait_for("saved", 60 * SECOND)?;
    }
    let relay = pair.end()?;
    let [first, second] = files.map(|file| Messenger::start(Program::get(Ours)?, &["--load", &file]));
    let mut pair = Pair::meet_again(relay, [first?, second?])?;
    println!("after loading, they met after {:.1?}", pair.met_after);
    pair.messages(100)?;
    pair.end()?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

#[test]
fn ours_reaches_its_relay_through_proxies() -> Outcome<()> {
    let socks = RealProxy::start(ProxyKind::Microsocks { login: false })?;
    let http = RealProxy::start(ProxyKind::Tinyproxy { login: false })?;
    let start = |kind, proxy: &RealProxy| {
        Messenger::start(Program::get(Ours)?, &["--proxy", kind, &proxy.address().port().to_string()])
    };
    let ends = [start("socks5", &socks)?, start("http", &http)?];
    let mut pair = Pair::meet(Bootstrapd::start()?, ends)?;
    pair.messages(100)?;
    pair.file(0, 100_000)?;
    // Without its proxy, a messenger reaches nobody.
    drop(socks);
    assert_eq!(pair.outage(Duration::ZERO, 3 * SECOND)?, None);
    Ok(())
}

#[test]
fn nothing_is_read_or_lost_that_should_not_be() -> Outcome<()> {
    if env::var_os("SANITIZE").is_some() || Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: valgrind is missing, or another sanitizer is used");
        return Ok(());
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=1", "--leak-check=full"]);
    // What is reachable at the end: thread-local values and tables, which live as long as the process.
    valgrind.args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]);
    valgrind.arg(&Program::get(Ours)?.path);
    let ends = [Messenger::start_with(&mut valgrind, &[])?, Messenger::start(Program::get(Own)?, &[])?];
    let mut pair = Pair::meet(Bootstrapd::start()?, ends)?;
    pair.messages(100)?;
    pair.file(0, 100_000)?;
    pair.end()?;
    Ok(())
}

/// That many send more at once than this relay bears, if nobody holds back: it gets stuck, and resets who has sent.
#[test]
fn forty_instances_on_one_relay_lose_no_file() -> Outcome<()> {
    if !is_long() {
        eprintln!("skipped: MESSENGER_LONG is not set");
        return Ok(());
    }
    let mut crowd = Crowd::start(Ours, 20)?;
    println!("20 files of 2 MB at once: {:.1?}", crowd.files(2_000_000)?);
    assert_eq!(crowd.losses()?, 0);
    Ok(())
}
