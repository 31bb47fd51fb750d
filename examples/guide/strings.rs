//! Strings: conditional writes, several at once, counters, parts of values.
//!
//! Needs: a server.
//!
//! A string is bytes, up to 512 MiB of them. If they are the digits of an integer it is a counter as well: INCR happens
//! inside the server, so two clients that count at the same time never lose one, which read-add-write in the client
//! does.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, ExistenceCheck, SetExpiry, SetOptions};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let keys =
        ["guide:job", "guide:views:home", "guide:views:about", "guide:score:ada", "guide:score:bob", "guide:log"];
    redis.del(&keys).await?;

    // NX: only if absent. The first one gets the job, and the expiry frees it should the first one die; see `locks` for
    // the rest.
    let claim = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::EX(30));
    assert_eq!(redis.set_options("guide:job", "worker-1", claim).await?.as_deref(), Some("OK"));
    let claim = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::EX(30));
    assert_eq!(redis.set_options("guide:job", "worker-2", claim).await?, None);
    // XX: only if present, to update what must not be created.
    let update = SetOptions::default().conditional_set(ExistenceCheck::XX);
    assert_eq!(redis.set_options("guide:nothing", "new", update).await?, None);

    // Page views: eight clients at once, and none is lost.
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let mut redis = redis.clone();
        clients.spawn(async move {
            for _ in 0..100 {
                redis.incr("guide:views:home", 1).await?;
            }
            redis.incr("guide:views:about", 1).await
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    // Several keys in one round trip; what does not exist is None.
    let views = redis.mget(&["guide:views:home", "guide:views:about", "guide:views:jobs"]).await?;
    assert_eq!(views, [Some("800".into()), Some("8".into()), None]);
    println!("views: {views:?}");

    // Scores go down as well, and below zero.
    redis.mset(&[("guide:score:ada", 10), ("guide:score:bob", 3)]).await?;
    assert_eq!(redis.incr("guide:score:ada", 5).await?, 15);
    assert_eq!(redis.decr("guide:score:bob", 5).await?, -2);
    // Arithmetic on what is no integer is refused, and changes nothing.
    redis.set("guide:score:bob", "many").await?;
    let refused = redis.incr("guide:score:bob", 1).await.expect_err("`many` is no number");
    println!("INCR of a word: {refused}");
    assert_eq!(redis.get("guide:score:bob").await?.as_deref(), Some("many"));

    // A value can grow and be read in part: GETRANGE has inclusive ends, and counts negative ones from the last byte.
    assert_eq!(redis.append("guide:log", "10:00 start\n").await?, 12);
    assert_eq!(redis.append("guide:log", "10:05 stop\n").await?, 23);
    assert_eq!(redis.getrange("guide:log", 0, 4).await?, "10:00");
    assert_eq!(redis.getrange("guide:log", -11, -2).await?, "10:05 stop");
    assert_eq!(redis.strlen("guide:log").await?, 23);

    // Old value out, new value in, in one step: a counter is collected without losing what is counted meanwhile.
    assert_eq!(redis.getset("guide:views:home", 0).await?.as_deref(), Some("800"));
    assert_eq!(redis.get_del("guide:views:home").await?.as_deref(), Some("0"));

    redis.del(&keys).await?;
    Ok(())
}
