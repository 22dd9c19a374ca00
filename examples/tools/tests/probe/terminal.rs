//! What a terminal shows.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::program::{any_key, command, silent_port};

#[test]
fn after_ctrl_c_the_progress_bar_stayed_in_the_terminal() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let mut programs_side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let (_listener, silent) = silent_port();
    let (silent, key) = (silent.to_string(), any_key().to_string());
    let stderr = Stdio::from(programs_side.try_clone().unwrap());
    let mut child = command(&[&silent, &key, "-W", "60"]).stderr(stderr).spawn().unwrap();

    let mut terminal = File::from(terminal);
    let mut shown = Vec::new();
    read_until("0 of 1 relays", &mut terminal, &mut shown);
    // As the terminal does it: it shows ^C where the cursor is, and sends the signal.
    terminal.write_all(&[3]).unwrap();
    read_until("^C", &mut terminal, &mut shown);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    programs_side.write_all(END.as_bytes()).unwrap();
    read_until(END, &mut terminal, &mut shown);

    let shown = String::from_utf8(shown).unwrap();
    let shown = shown.strip_suffix(END).unwrap();
    let (before, after) = shown.split_once("^C").unwrap();
    let line = before.rsplit(['\r', '\n']).next().unwrap();
    let width = line.replace("\x1b[2K", "").chars().count() + "^C".len();
    assert!(width < 80, "^C stands on the line of the bar: {shown:?}");
    let (_, cleared) =
        after.rsplit_once("\r\x1b[2K").unwrap_or_else(|| panic!("the line is cleared: {shown:?}"));
    assert_eq!(cleared.trim_matches('\r'), "", "{shown:?}");
    assert!(!after.contains('\n'), "{shown:?}");
}

/// What the test itself writes when the program has ended.
const END: &str = "the end";

fn read_until(text: &str, terminal: &mut File, shown: &mut Vec<u8>) {
    while !String::from_utf8_lossy(shown).contains(text) {
        let mut buffer = [0; 4096];
        let len = terminal.read(&mut buffer).unwrap();
        shown.extend(&buffer[..len]);
    }
}
