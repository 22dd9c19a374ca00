//! Relays on which every peer is online, though there is none: 10,000 peers on three relays each would take more
//! descriptors than a process has.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use tox_relay_client::{PublicKey, Relay};
use tox_test_relay::kind::*;
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Session, public_key};

/// Data after which the route goes offline and comes online again. All other data come back.
pub const BLINK: &[u8] = b"blink";

const FIRST_ID: usize = 16;

/// Starts a relay on a thread of its own, which ends with the process.
pub fn all_online() -> Relay {
    let secret_key: [u8; 32] = rand::random();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on loopback");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = serve(stream, &secret_key); // until the client has closed it
        }
    });
    Relay::new(address, PublicKey::from(public_key(&secret_key)))
}

fn serve(mut stream: TcpStream, secret_key: &[u8; 32]) -> std::io::Result<()> {
    let mut hello = [0; HELLO_LENGTH];
    stream.read_exact(&mut hello)?;
    let fresh = Fresh {
        temporary_secret_key: rand::random(),
        base_nonce: rand::random(),
        response_nonce: rand::random(),
    };
    let (response, mut session) = Hello::open(&hello, secret_key).expect("an honest hello").accept(&fresh);
    stream.write_all(&response)?;
    let (mut buffer, mut taken) = (vec![0; 64 * 1024], [false; 256]);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut answers = Vec::new();
        session
            .open_each(&buffer[..count], |packet| answer(packet, &mut taken, &mut answers))
            .expect("honest packets");
        stream.write_all(&sealed(&mut session, &answers))?;
    }
}

fn sealed(session: &mut Session, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packets.iter().for_each(|packet| session.seal(packet, &mut bytes));
    bytes
}

/// `taken`: the ids that are in use.
fn answer(packet: &[u8], taken: &mut [bool; 256], answers: &mut Vec<Vec<u8>>) {
    match packet[0] {
        PING => answers.push([&[PONG], &packet[1..]].concat()),
        ROUTING_REQUEST => {
            let free = (FIRST_ID..taken.len()).find(|id| !taken[*id]).unwrap_or(0);
            answers.push([&[ROUTING_RESPONSE, free as u8], &packet[1..33]].concat());
            if free > 0 {
                taken[free] = true;
                answers.push(vec![CONNECTION_NOTIFICATION, free as u8]);
            }
        }
        DISCONNECT_NOTIFICATION => taken[usize::from(packet[1])] = false,
        id if usize::from(id) >= FIRST_ID && &packet[1..] == BLINK => {
            answers.push(vec![DISCONNECT_NOTIFICATION, id]);
            answers.push(vec![CONNECTION_NOTIFICATION, id]);
        }
        id if usize::from(id) >= FIRST_ID => answers.push(packet.to_vec()),
        _ => {}
    }
}
