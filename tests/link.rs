//! The store's own connection: lost, silent, refused, demoted, and replaced.

use crate::backend::{eventually, soon};
use kv_core::{BlockingStore, End, ErrorKind, Executed, KvStore, PubSub, SetOptions};
use kv_redis::{RedisOptions, RedisStore, redis::AsyncCommands};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use xtask::fixture::{Proxy, Server};

const DEADLINE: Duration = Duration::from_secs(1);

async fn connect(url: &str) -> RedisStore {
    RedisStore::connect_with(url, RedisOptions::default().deadline(DEADLINE)).await.unwrap()
}

async fn client_id(store: &RedisStore) -> i64 {
    kv_redis::redis::cmd("CLIENT").arg("ID").query_async(&mut store.connection()).await.unwrap()
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_replaced() {
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let store = connect(&proxy.url()).await;
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    proxy.black_hole_existing();
    let started = Instant::now();
    let error = store.get("key").await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert!(started.elapsed() < DEADLINE * 2);
    assert_eq!(soon("a new connection", store.get("key")).await.unwrap().unwrap(), "1");
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_silent_connection_is_found_though_no_call_waits_for_its_deadline() {
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let options = RedisOptions::default().deadline(Duration::from_millis(100)).heartbeat(Duration::from_millis(50));
    let store = RedisStore::connect_with(&proxy.url(), options).await.unwrap();
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    proxy.black_hole_existing();
    eventually("the heartbeat fails", || async {
        let patience = Duration::from_millis(5);
        tokio::time::timeout(patience, store.get("key")).await.is_ok_and(|reply| reply.is_ok())
    })
    .await;
    assert_eq!(proxy.accepted(), 2);
    assert_eq!((store.stats().connected, store.stats().retired), (2, 1));
}

#[tokio::test]
async fn a_lost_reply_is_one_that_may_have_happened_and_is_not_asked_for_again() {
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let store = connect(&proxy.url()).await;
    store.incr_by("counter", 1).await.unwrap();
    proxy.drop_next_reply();
    let error = store.incr_by("counter", 1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Unavailable, Executed::Maybe));
    assert_eq!(soon("reconnected", store.get("counter")).await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn a_dropped_store_leaves_no_connection() {
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let store = connect(&proxy.url()).await;
    let news = store.subscribe(&["news"]).await.unwrap();
    store.push("list", End::Back, &[b"1"]).await.unwrap();
    store.pop(&["list"], End::Front, Duration::from_secs(1)).await.unwrap();
    // The peer answers nothing any more: nobody may wait for it.
    proxy.black_hole_existing();
    drop((store, news));
    eventually("all closed", || async { proxy.open() == 0 }).await;
}

#[tokio::test]
async fn a_password_is_rotated_without_a_failed_call() {
    let server = Server::with_args(&["--requirepass", "one"]).unwrap();
    let store = connect(&format!("redis://:one@127.0.0.1:{}", server.port())).await;
    let admin = connect(&format!("redis://:one@127.0.0.1:{}", server.port())).await;
    let acl = async |change: &str| {
        let mut acl = kv_redis::redis::cmd("ACL");
        acl.arg("SETUSER").arg("default").arg(change).query_async::<()>(&mut admin.connection()).await.unwrap();
    };
    acl(">two").await;
    store.set_credentials(None, "two").await.unwrap();
    acl("<one").await;
    store.get("key").await.unwrap();
    let mut kill = kv_redis::redis::cmd("CLIENT");
    kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
    kill.query_async::<i64>(&mut admin.connection()).await.unwrap();
    eventually("the new one logs in", || async { store.get("key").await.is_ok() }).await;
    let wrong = store.set_credentials(None, "three").await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Auth);
    assert!(!wrong.to_string().contains("three"));
}

#[tokio::test]
async fn a_login_under_way_while_the_password_is_rotated_is_tried_with_the_new_one() {
    let server = Server::with_args(&["--user", "app", "on", ">one", "~*", "&*", "+@all"]).unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let store = connect(&format!("redis://app:one@127.0.0.1:{}", proxy.port())).await;
    let acl = |rule: &str| server.call(&["ACL", "SETUSER", "app", rule]).unwrap();
    proxy.cut();
    while store.stats().retired == 0 {
        let _ = store.get("key").await;
    }
    proxy.delay(Duration::from_millis(20));
    let (called, ()) = tokio::join!(store.get("key"), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        acl(">two");
        store.set_credentials(Some("app"), "two").await.unwrap();
        acl("<one");
    });
    called.unwrap();
}

#[tokio::test]
async fn a_refused_login_is_told_and_forgotten_once_it_works() {
    let server = Server::with_args(&["--requirepass", "one"]).unwrap();
    let store = connect(&format!("redis://:one@127.0.0.1:{}", server.port())).await;
    let admin = connect(&format!("redis://:one@127.0.0.1:{}", server.port())).await;
    let set = async |password: &str| {
        let mut set = kv_redis::redis::cmd("CONFIG");
        set.arg("SET").arg("requirepass").arg(password).query_async::<()>(&mut admin.connection()).await.unwrap();
    };
    set("two").await;
    let mut kill = kv_redis::redis::cmd("CLIENT");
    kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
    kill.query_async::<i64>(&mut admin.connection()).await.unwrap();
    eventually("the refusal is told", || async {
        store.get("key").await.is_err_and(|error| error.kind() == ErrorKind::Auth)
    })
    .await;
    set("one").await;
    eventually("it works again", || async { store.get("key").await.is_ok() }).await;
}

#[tokio::test]
async fn a_demoted_server_is_left_for_a_new_connection() {
    let server = Server::start().unwrap();
    let store = connect(&server.url()).await;
    let before = client_id(&store).await;
    server.call(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let error = store.set("key", b"1", SetOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Unavailable, Executed::No));
    server.call(&["REPLICAOF", "NO", "ONE"]).unwrap();
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    assert_ne!(client_id(&store).await, before);
}

#[tokio::test]
async fn many_callers_make_few_attempts_and_all_end_in_time() {
    let server = Server::start().unwrap();
    let store = connect(&server.url()).await;
    server.kill().unwrap();
    // Somebody on the port who hangs up on everyone.
    let stranger = TcpListener::bind(("127.0.0.1", server.port())).await.unwrap();
    let knocks = tokio::spawn(async move {
        let mut knocks = 0;
        let ended = Instant::now() + Duration::from_secs(1);
        while let Ok(Ok(_)) = tokio::time::timeout_at(ended.into(), stranger.accept()).await {
            knocks += 1;
        }
        knocks
    });
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let ended = Instant::now() + Duration::from_millis(900);
                while Instant::now() < ended {
                    let started = Instant::now();
                    let error = store.get("key").await.unwrap_err();
                    assert!(error.is_temporary(), "{error}");
                    assert!(started.elapsed() < DEADLINE * 2, "{:?}", started.elapsed());
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let knocks = knocks.await.unwrap();
    // Pauses of 10 ms and doubling, less jitter: some ten a second, where 64 callers without a pause make thousands.
    assert!((1..100).contains(&knocks), "{knocks} attempts");
    server.restart().unwrap();
    let started = Instant::now();
    eventually("it comes back", || async { store.get("key").await.is_ok() }).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?} after the port answers", started.elapsed());
}

#[tokio::test]
async fn every_redis_command_is_one_call_away_and_bounded() {
    let server = Server::start().unwrap();
    let store = connect(&server.url()).await;
    let mut connection = store.connection();
    let _: i64 = connection.hincr("visits", "ada", 2).await.unwrap();
    let (visits, length): (i64, i64) =
        kv_redis::redis::pipe().hget("visits", "ada").hlen("visits").query_async(&mut connection).await.unwrap();
    assert_eq!((visits, length), (2, 1));
    server.pause().unwrap();
    let started = Instant::now();
    assert!(connection.hlen::<_, i64>("visits").await.unwrap_err().is_timeout());
    assert!(started.elapsed() < DEADLINE * 2);
}

#[tokio::test]
async fn a_borrowed_connection_is_bounded_too() {
    let server = Server::start().unwrap();
    let client = kv_redis::redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let options = RedisOptions::default().deadline(DEADLINE);
    let store = RedisStore::from_connection_with(connection.clone(), options.clone()).unwrap();
    server.pause().unwrap();
    let started = Instant::now();
    assert_eq!(store.get("key").await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < DEADLINE * 2);
    let zero = RedisStore::from_connection_with(connection, options.deadline(Duration::ZERO));
    assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidConfig);
}
