//! The servers of the fixture: they start, they obey, and they leave nothing.

use std::time::{Duration, Instant};

use anyhow::Result;
use xtask::fixture::{Cluster, Sentinel, Server};
use xtask::resp::{Connection, Reply};

fn pong(port: u16, timeout: Duration) -> bool {
    let ping = || Connection::open(port, timeout)?.call(&["PING"]);
    ping().is_ok_and(|reply| reply == Reply::Status("PONG".into()))
}

#[test]
fn a_server_answers_as_soon_as_it_is_started() -> Result<()> {
    let before = Instant::now();
    let server = Server::start()?;
    println!("ready in {:?}", before.elapsed());
    assert_eq!(server.call(&["SET", "key", "value"])?, Reply::Status("OK".into()));
    assert_eq!(server.call(&["GET", "key"])?.text(), Some("value"));
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    assert!(server.log_tail().contains("accept connections"));
    Ok(())
}

#[test]
fn arguments_reach_the_server() -> Result<()> {
    let password = "a 'secret' of $HOME";
    let server = Server::with_args(&["--requirepass", password])?;
    let mut connection = Connection::open(server.port(), Duration::from_secs(1))?;
    assert!(matches!(connection.call(&["PING"])?, Reply::Error(error) if error.starts_with("NOAUTH")));
    assert_eq!(connection.call(&["AUTH", password])?, Reply::Status("OK".into()));
    assert_eq!(server.call(&["PING"])?, Reply::Status("PONG".into()), "the fixture knows it");
    assert!(!format!("{server:?}").contains("secret"));
    Ok(())
}

#[test]
fn users_of_an_acl_are_arguments_too() -> Result<()> {
    let user = ["--user", "app", "on", ">secret", "~app:*", "&*", "+@all", "-@dangerous"];
    let server = Server::with_args(&user)?;
    let mut connection = Connection::open(server.port(), Duration::from_secs(1))?;
    let ok = Reply::Status("OK".into());
    assert_eq!(connection.call(&["AUTH", "app", "secret"])?, ok);
    assert_eq!(connection.call(&["SET", "app:key", "value"])?, ok);
    for refused in [["SET", "key", "value"].as_slice(), &["FLUSHALL"]] {
        assert!(matches!(connection.call(refused)?, Reply::Error(error) if error.starts_with("NOPERM")));
    }
    Ok(())
}

#[test]
fn an_argument_the_server_refuses_is_an_error_with_the_log() {
    let error = Server::with_args(&["--no-such-option", "1"]).map(|server| server.port()).expect_err("refused");
    assert!(error.to_string().contains("no-such-option"), "{error:#}");
}

#[test]
fn a_killed_server_restarts_on_the_same_port() -> Result<()> {
    let server = Server::start()?;
    let port = server.port();
    server.kill()?;
    assert!(Connection::open(port, Duration::from_secs(1)).is_err());
    server.kill()?;
    server.restart()?;
    assert_eq!(server.port(), port);
    assert!(pong(port, Duration::from_secs(1)));
    server.restart()?;
    assert!(pong(port, Duration::from_secs(1)));
    Ok(())
}

#[test]
fn a_server_that_ends_by_itself_restarts_too() -> Result<()> {
    let server = Server::start()?;
    // No reply: the server closes the connection.
    assert!(server.call(&["SHUTDOWN", "NOSAVE"]).is_err());
    server.restart()?;
    assert!(pong(server.port(), Duration::from_secs(1)));
    Ok(())
}

#[test]
fn a_paused_server_keeps_its_connections_and_answers_later() -> Result<()> {
    let server = Server::start()?;
    server.pause()?;
    assert!(!pong(server.port(), Duration::from_millis(100)));
    server.resume()?;
    assert!(pong(server.port(), Duration::from_secs(1)));
    server.pause()?;
    server.kill()?;
    assert!(server.pause().is_err());
    Ok(())
}

#[test]
fn dropping_leaves_neither_process_nor_directory() -> Result<()> {
    let server = Server::start()?;
    let (port, dir) = (server.port(), server.dir().to_path_buf());
    assert!(dir.is_dir());
    drop(server);
    assert!(!dir.exists());
    assert!(Connection::open(port, Duration::from_secs(1)).is_err());
    Ok(())
}

#[test]
fn servers_started_together_do_not_meet() -> Result<()> {
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(Server::start)).collect();
    let servers = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<Vec<_>>>()?;
    for (at, server) in servers.iter().enumerate() {
        server.call(&["SET", "who", &at.to_string()])?;
    }
    for (at, server) in servers.iter().enumerate() {
        assert_eq!(server.call(&["GET", "who"])?.text(), Some(at.to_string().as_str()));
    }
    Ok(())
}

/// Prints how long each takes to be ready: `cargo test -p xtask --test fixture -- --nocapture fixture_times`.
#[test]
fn fixture_times() -> Result<()> {
    fn time<T>(what: &str, start: impl Fn() -> Result<T>) -> Result<Duration> {
        let before = Instant::now();
        let started = start()?;
        let ready = before.elapsed();
        drop(started);
        println!(
            "{what:<12}ready in {:>5} ms, gone in {:>3} ms",
            ready.as_millis(),
            (before.elapsed() - ready).as_millis()
        );
        Ok(ready)
    }
    let standalone = (0..5).map(|_| time("standalone", Server::start)).min_by_key(|time| time.as_ref().ok().copied());
    // Far more than they take, far less than a mistake would.
    assert!(standalone.expect("five of them")? < Duration::from_secs(1));
    time("tls", || Server::tls(false))?;
    assert!(time("sentinel", Sentinel::start)? < Duration::from_secs(10));
    assert!(time("cluster", Cluster::start)? < Duration::from_secs(10));
    Ok(())
}
