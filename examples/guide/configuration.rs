//! All of the configuration: database, user, password, client name, and the two time-outs.
//!
//! Needs: nothing.
//!
//! It starts a server of its own, since users belong to the server's configuration. The user `app` may touch the keys
//! of the guide and run no command that endangers the server, which is what a service should be able to do, and no
//! more.

use anyhow::Result;
use examples::RedisServer;
use kv_core::{ErrorKind, Executed, KvStore, SetOptions};
use kv_redis::{RedisOptions, RedisStore};
use redis::{AsyncTypedCommands, Client, cmd};
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // 7.0 does not count the last one among what is dangerous; 6.2 does.
    let rules = "--user app on >secret ~guide:* resetchannels &guide:* +@all -@dangerous +client|setname";
    let server = RedisServer::start(&rules.split(' ').collect::<Vec<_>>())?;
    let mut admin = Client::open(server.url())?.get_multiplexed_async_connection().await?;

    // Who, with what, where, and which of the databases: 16 of them, numbered, in one server. A cluster has only the
    // first, so services that share a server are better kept apart by a prefix of their keys.
    let address = server.url().replace("redis://", "");
    let url = format!("redis://app:secret@{address}/2");
    let options = RedisOptions::default()
        // What CLIENT LIST shows: the operator's answer to "whose are these 400 connections?".
        .client_name("guide-configuration")
        // How long opening a connection may take, login included.
        .connect_timeout(Duration::from_millis(500))
        // How long a call may take, from the call to the answer, with everything that may happen in between.
        .deadline(Duration::from_millis(300));
    let store = RedisStore::connect_with(&url, options.clone()).await?;
    store.set("guide:here", b"1", SetOptions::default()).await?;
    let clients: String = cmd("CLIENT").arg("LIST").query_async(&mut admin).await?;
    let ours = clients.lines().find(|line| line.contains("name=guide-configuration")).expect("it has said its name");
    println!("{ours}");
    assert!(ours.contains(" db=2 ") && ours.contains(" user=app "));
    assert_eq!(admin.get("guide:here").await?, None, "it is in another database");

    // What the user may not do is refused by the server; so is a wrong password, and the error repeats neither.
    let error = store.set("else:where", b"1", SetOptions::default()).await.expect_err("not a key of the guide");
    println!("another's key: {error}");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Auth, Executed::No));
    assert!(store.connection().flushall().await.is_err(), "FLUSHALL is dangerous");
    let error = RedisStore::connect(&url.replace("secret", "hunter2")).await.expect_err("a wrong password");
    println!("a wrong password: {error}");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    // A password is changed without a restart: the server takes both for a while.
    cmd("ACL").arg("SETUSER").arg("app").arg(">newer").exec_async(&mut admin).await?;
    store.set_credentials(Some("app"), "newer").await?;
    cmd("ACL").arg("SETUSER").arg("app").arg("<secret").exec_async(&mut admin).await?;
    assert!(store.exists("guide:here").await?);

    // The connection time-out: somebody listens, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let began = Instant::now();
    let error = RedisStore::connect_with(&format!("redis://{}", silent.local_addr()?), options.clone()).await;
    let error = error.expect_err("nobody answers");
    println!("a silent server: {error}, after {:?}", began.elapsed());
    assert!(error.is_temporary() && began.elapsed() >= Duration::from_millis(300));

    // The response time-out: a server that stalls. A write that was sent may have been done, and the error says so: see
    // `timeouts_and_retries`.
    cmd("CLIENT").arg("PAUSE").arg(1_000).exec_async(&mut admin).await?;
    let error = store.incr_by("guide:here", 1).await.expect_err("the server stalls");
    println!("a stalled server: {error}");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));

    // What cannot be is refused before anything is opened, by its name.
    let wrong = RedisOptions::default().deadline(Duration::ZERO);
    let error = RedisStore::connect_with(&url, wrong).await.expect_err("no time at all");
    println!("a wrong option: {error}");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    Ok(())
}
