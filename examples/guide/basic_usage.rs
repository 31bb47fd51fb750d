//! Keys and values: connect, set, get, expire, delete.
//!
//! Needs: a server.
//!
//! Redis is a map from keys to values that lives in the memory of another process, so everything here is one round trip
//! over a socket. A key is any string; the colons in `guide:greeting` mean nothing to Redis and keep names in order for
//! people.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, IntegerReplyOrNoOp, ValueType};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // A client is an address; the connection is what costs. One connection serves a whole service: see `connections`.
    let client = Client::open(examples::redis_url()?)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    redis.del(&["guide:greeting", "guide:salute"]).await?;

    // A value is bytes; the client turns numbers and text into them and back.
    redis.set("guide:greeting", "hello").await?;
    assert_eq!(redis.get("guide:greeting").await?.as_deref(), Some("hello"));
    // A key that does not exist is not an error.
    assert_eq!(redis.get("guide:nothing").await?, None);
    assert!(redis.exists("guide:greeting").await?);
    assert_eq!(redis.key_type("guide:greeting").await?, ValueType::String);

    // Nothing expires unless one says so: a cache without expiry is a leak.
    assert_eq!(redis.ttl("guide:greeting").await?, IntegerReplyOrNoOp::ExistsButNotRelevant);
    assert!(redis.expire("guide:greeting", 60).await?);
    let IntegerReplyOrNoOp::IntegerReply(left) = redis.ttl("guide:greeting").await? else {
        panic!("a key with an expiry has seconds left");
    };
    assert!((1..=60).contains(&left));
    println!("guide:greeting expires in {left} s");
    // In one step, which is what one wants: with two, a crash in between leaves a key that never goes.
    redis.set_ex("guide:greeting", "hello again", 60).await?;
    // SET without an expiry removes the one there was.
    redis.set("guide:greeting", "for ever").await?;
    assert_eq!(redis.ttl("guide:greeting").await?, IntegerReplyOrNoOp::ExistsButNotRelevant);
    assert!(redis.pexpire("guide:greeting", 60_000).await?);
    assert!(redis.persist("guide:greeting").await?);

    // The expiry travels with the value, and whatever had the new name is gone.
    redis.expire("guide:greeting", 60).await?;
    redis.rename("guide:greeting", "guide:salute").await?;
    assert!(!redis.exists("guide:greeting").await?);
    assert!(matches!(redis.ttl("guide:salute").await?, IntegerReplyOrNoOp::IntegerReply(_)));

    // An expiry in the past is a delete.
    assert!(redis.expire("guide:salute", 0).await?);
    assert_eq!(redis.ttl("guide:salute").await?, IntegerReplyOrNoOp::NotExists);

    // DEL takes several keys and says how many there were.
    redis.mset(&[("guide:greeting", "a"), ("guide:salute", "b")]).await?;
    assert_eq!(redis.del(&["guide:greeting", "guide:salute", "guide:nothing"]).await?, 2);
    println!("set, read, expired, renamed and deleted");
    Ok(())
}
