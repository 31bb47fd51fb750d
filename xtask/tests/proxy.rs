//! The proxy breaks connections as it is told, and no others.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use xtask::fixture::{Proxy, Server};
use xtask::resp::{Connection, Reply};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(5);

fn pong(connection: &mut Connection) -> bool {
    connection.call(&["PING"]).is_ok_and(|reply| reply == Reply::Status("PONG".into()))
}

fn is_silent(connection: &mut Connection) -> bool {
    let error = connection.call(&["PING"]).expect_err("no answer");
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn eventually(mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + LONG;
    while !condition() {
        ensure!(Instant::now() < deadline, "not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[test]
fn a_proxy_carries_and_counts() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    assert_eq!((proxy.accepted(), proxy.open()), (0, 0));
    let mut first = Connection::open(proxy.port(), LONG)?;
    let mut second = Connection::open(proxy.port(), LONG)?;
    let value = "x".repeat(1 << 20);
    assert_eq!(first.call(&["SET", "key", &value])?, Reply::Status("OK".into()));
    assert_eq!(second.call(&["GET", "key"])?.text(), Some(value.as_str()));
    assert_eq!((proxy.accepted(), proxy.open()), (2, 2));
    drop(first);
    eventually(|| proxy.open() == 1)?;
    assert!(pong(&mut second));
    server.kill()?;
    assert!(second.call(&["PING"]).is_err(), "the server's end reaches the client");
    assert!(Connection::open(proxy.port(), LONG)?.call(&["PING"]).is_err(), "nobody is behind it");
    Ok(())
}

#[test]
fn cut_connections_end_and_new_ones_work() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut old = Connection::open(proxy.port(), LONG)?;
    assert!(pong(&mut old));
    proxy.cut();
    assert_eq!(proxy.open(), 0);
    assert!(!pong(&mut old) && !is_silent(&mut old));
    assert!(pong(&mut Connection::open(proxy.port(), LONG)?));
    Ok(())
}

#[test]
fn refused_connections_are_refused_and_the_others_go_on() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut old = Connection::open(proxy.port(), LONG)?;
    for _ in 0..3 {
        proxy.refuse(true)?;
        proxy.refuse(true)?;
        let error = TcpStream::connect(("127.0.0.1", proxy.port())).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(pong(&mut old));
        proxy.refuse(false)?;
        assert!(pong(&mut Connection::open(proxy.port(), LONG)?));
    }
    assert_eq!(proxy.accepted(), 4, "only clients count");
    Ok(())
}

#[test]
fn a_black_hole_keeps_connections_open_and_silent() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut old = Connection::open(proxy.port(), SHORT)?;
    assert!(pong(&mut old));
    proxy.black_hole();
    let mut new = Connection::open(proxy.port(), SHORT)?;
    assert!(is_silent(&mut old) && is_silent(&mut new));
    eventually(|| proxy.open() == 2)?;
    server.kill()?;
    assert!(is_silent(&mut old), "not even the server's end gets through");
    server.restart()?;
    proxy.pass()?;
    assert!(is_silent(&mut old) && is_silent(&mut new), "they are lost");
    assert!(pong(&mut Connection::open(proxy.port(), LONG)?));
    Ok(())
}

#[test]
fn half_open_connections_are_silent_and_new_ones_work() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut old = Connection::open(proxy.port(), SHORT)?;
    assert!(pong(&mut old));
    proxy.black_hole_existing();
    assert!(is_silent(&mut old));
    assert!(pong(&mut Connection::open(proxy.port(), LONG)?));
    Ok(())
}

#[test]
fn a_delay_counts_once_for_each_direction() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut connection = Connection::open(proxy.port(), LONG)?;
    assert!(pong(&mut connection));
    let delay = Duration::from_millis(50);
    proxy.delay(delay);
    let before = Instant::now();
    assert!(pong(&mut connection));
    assert!(before.elapsed() >= 2 * delay, "{:?}", before.elapsed());
    proxy.delay(Duration::ZERO);
    let before = Instant::now();
    assert!(pong(&mut connection));
    assert!(before.elapsed() < delay, "{:?}", before.elapsed());
    Ok(())
}

#[test]
fn a_dropped_reply_leaves_the_command_executed() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut old = Connection::open(proxy.port(), LONG)?;
    assert!(pong(&mut old));
    proxy.drop_next_reply();
    assert!(old.call(&["INCR", "key"]).is_err());
    assert!(!pong(&mut old) && !is_silent(&mut old));
    let mut new = Connection::open(proxy.port(), LONG)?;
    assert_eq!(new.call(&["GET", "key"])?.text(), Some("1"), "once, and the next reply comes");
    Ok(())
}

#[test]
fn dropping_closes_the_port_and_the_connections() -> Result<()> {
    let server = Server::start()?;
    let proxy = Proxy::to(server.port())?;
    let mut passing = Connection::open(proxy.port(), LONG)?;
    assert!(pong(&mut passing));
    proxy.black_hole();
    let mut silent = Connection::open(proxy.port(), SHORT)?;
    assert!(is_silent(&mut silent));
    proxy.delay(Duration::from_secs(60));
    let port = proxy.port();
    let before = Instant::now();
    drop(proxy);
    assert!(before.elapsed() < LONG, "it waits for no delay");
    for mut connection in [passing, silent] {
        assert!(connection.call(&["PING"]).is_err() && !is_silent(&mut connection));
    }
    assert!(Connection::open(port, LONG).is_err());
    Ok(())
}
