use super::*;

fn config() -> Config {
    Config::new(SecretKey::from([1; 32]))
}

#[test]
fn the_defaults_are_those_of_the_protocol_document() {
    let settings = config().settings().expect("the defaults are valid");
    let Settings { connect_timeout, ping_interval, pong_timeout, .. } = settings;
    assert_eq!([connect_timeout, ping_interval, pong_timeout].map(|time| time.as_secs()), [10, 30, 10]);
}

/// RFC 8305, section 4.
#[test]
fn the_families_of_a_relays_addresses_take_turns() {
    let [a, b, c, x, y] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "[2001:db8::1]:1", "[2001:db8::2]:1"];
    for (given, expected) in [
        (&[a, b, c, x, y][..], &[a, x, b, y, c][..]),
        (&[x, y, a], &[x, a, y]),
        (&[a, x, y], &[a, x, y]),
        (&[a, b], &[a, b]),
        (&[x, a, x, a], &[x, a]),
    ] {
        let new = Relay::new(given[0], PublicKey::from([9; 32]));
        let relay = given[1..].iter().fold(new, |relay, address| relay.address(*address));
        let (addresses, _) = relay.targets().expect("good addresses");
        assert_eq!(addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{given:?}");
    }
}

#[test]
fn settings_that_can_not_work_are_refused() {
    let check = |config: Config| config.settings().map(|_| ());
    assert_eq!(check(config().send_queue(4_068)), Ok(()));
    assert_eq!(check(config().send_queue(4_067)), Err(SettingError::SendQueue(4_067)));
    assert_eq!(check(config().window(16_384)), Ok(()));
    assert_eq!(check(config().window(16_383)), Err(SettingError::Window(16_383)));
    assert_eq!(check(config().window(None)), Ok(()));
    let zero = Duration::ZERO;
    assert_eq!(check(config().connect_timeout(zero)), Err(SettingError::ConnectTimeout));
    assert_eq!(check(config().ping_interval(zero)), Err(SettingError::PingInterval));
    assert_eq!(check(config().pong_timeout(zero)), Err(SettingError::PongTimeout));
}

#[test]
fn half_of_the_smallest_send_queue_has_room_for_the_longest_packet() {
    assert_eq!(MIN_SEND_QUEUE, 2 * (2 + crate::wire::frame::MAX_PLAINTEXT));
}
