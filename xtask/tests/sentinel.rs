//! The sentinels of the fixture: they know each other, they promote, and they leave nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use xtask::fixture::{Sentinel, SentinelOptions, Server};
use xtask::resp::{Connection, Reply};

fn set(server: &Server, value: &str) -> Result<()> {
    // WAIT is about what its own connection has written.
    let mut connection = server.connect(Duration::from_secs(5))?;
    let reply = connection.call(&["SET", "key", value])?;
    ensure!(reply == Reply::Status("OK".into()), "{reply:?}");
    let replicas = connection.call(&["WAIT", "2", "5000"])?;
    ensure!(replicas == Reply::Integer(2), "{replicas:?}");
    Ok(())
}

#[test]
fn sentinels_promote_a_replica_when_the_master_is_killed() -> Result<()> {
    let before = Instant::now();
    let group = Sentinel::start()?;
    println!("sentinels ready in {:?}", before.elapsed());
    assert_eq!(group.master()?, 0);
    let ports = group.sentinel_ports();
    let others = format!("node=127.0.0.1:{}&node=127.0.0.1:{}", ports[1], ports[2]);
    let url = format!("redis-sentinel://127.0.0.1:{}?{others}&sentinelServiceName={}", ports[0], group.name());
    assert_eq!(group.url(), url);
    set(&group.servers()[0], "value")?;
    let before = Instant::now();
    group.servers()[0].kill()?;
    assert!(group.master().is_err());
    group.wait_ok()?;
    println!("replica promoted in {:?}", before.elapsed());
    let master = group.master()?;
    assert_ne!(master, 0);
    assert_eq!(group.servers()[master].call(&["GET", "key"])?.text(), Some("value"));
    let before = Instant::now();
    group.servers()[0].restart()?;
    group.wait_ok()?;
    println!("old master is a replica in {:?}", before.elapsed());
    assert_eq!(group.master()?, master);
    assert_eq!(group.servers()[0].call(&["GET", "key"])?.text(), Some("value"));
    Ok(())
}

#[test]
fn a_failover_can_be_ordered_and_a_sentinel_may_be_missing() -> Result<()> {
    let options = SentinelOptions::default().password("secret").sentinel_password("another");
    let group = Sentinel::with_options(&options.failover_timeout(Duration::from_secs(3)))?;
    for server in [&group.servers()[0], &group.sentinels()[0]] {
        let stranger = Connection::open(server.port(), Duration::from_secs(5))?.call(&["INFO"])?;
        assert!(matches!(stranger, Reply::Error(error) if error.starts_with("NOAUTH")));
    }
    set(&group.servers()[0], "value")?;
    let before = Instant::now();
    let master = group.fail_over()?;
    println!("failed over in {:?}", before.elapsed());
    assert_ne!(master, 0);
    set(&group.servers()[master], "other")?;
    group.sentinels()[0].kill()?;
    let before = Instant::now();
    let master = group.fail_over()?;
    println!("failed over again in {:?}", before.elapsed());
    assert_eq!(group.servers()[master].call(&["GET", "key"])?.text(), Some("other"));
    group.sentinels()[0].restart()?;
    group.wait_ok()?;
    // A replica that restarts is one.
    let replica = (0..3).find(|&at| at != master).expect("there are three");
    let before = Instant::now();
    group.servers()[replica].restart()?;
    group.wait_ok()?;
    println!("replica is back in {:?}", before.elapsed());
    assert_eq!(group.master()?, master);
    Ok(())
}

#[test]
fn a_password_that_sentinels_would_forget_is_refused() {
    for options in
        [SentinelOptions::default().password("two words"), SentinelOptions::default().sentinel_password("\"")]
    {
        let error = Sentinel::with_options(&options).map(|group| group.url()).expect_err("refused");
        assert!(error.to_string().contains("password: not a word"), "{error:#}");
        assert!(!format!("{options:?}").contains("two words"));
    }
}

#[test]
fn dropping_leaves_nothing() -> Result<()> {
    let group = Sentinel::start()?;
    let all = || group.servers().iter().chain(group.sentinels());
    let (dirs, ports): (Vec<_>, Vec<_>) = all().map(|server| (server.dir().to_path_buf(), server.port())).unzip();
    assert!(dirs.iter().all(|dir| dir.is_dir()));
    drop(group);
    assert!(dirs.iter().all(|dir| !dir.exists()));
    assert!(ports.iter().all(|&port| Connection::open(port, Duration::from_secs(1)).is_err()));
    Ok(())
}
