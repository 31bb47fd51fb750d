//! Sets: the tags of articles, and what two articles have in common.
//!
//! Needs: a server.
//!
//! A set has no order and no duplicates. Membership is one step however large it is; what combines sets walks the
//! smallest of them.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client};
use std::collections::HashSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let articles = [
        ("guide:tags:1", vec!["redis", "rust", "async"]),
        ("guide:tags:2", vec!["redis", "lua"]),
        ("guide:tags:3", vec!["rust", "async", "tokio"]),
    ];
    let indexes = ["guide:tagged:redis", "guide:tagged:rust", "guide:tagged:async"];
    redis.del(&indexes).await?;
    redis.del(&articles.each_ref().map(|(key, _)| *key)).await?;

    // Tags by article, and articles by tag: Redis keeps no index one does not write. One transaction keeps both in
    // step.
    for (key, tags) in &articles {
        let mut write = redis::pipe();
        write.atomic().sadd(*key, tags);
        for tag in tags {
            write.sadd(format!("guide:tagged:{tag}"), *key);
        }
        write.exec_async(&mut redis).await?;
    }
    // What is there already is not added again.
    assert_eq!(redis.sadd("guide:tags:2", &["redis", "scripts"]).await?, 1);
    assert_eq!(redis.scard("guide:tags:2").await?, 3);
    assert!(redis.sismember("guide:tags:1", "rust").await?);
    assert_eq!(redis.smismember("guide:tags:1", &["rust", "lua"]).await?, [true, false]);

    // Algebra. Which articles are about Redis and Rust?
    let both = redis.sinter(&["guide:tagged:redis", "guide:tagged:rust"]).await?;
    assert_eq!(both, set(&["guide:tags:1"]));
    println!("redis and rust: {both:?}");
    // About either of them?
    assert_eq!(redis.sunion(&["guide:tagged:redis", "guide:tagged:rust"]).await?.len(), 3);
    // About Rust, but not Redis?
    let only = redis.sdiff(&["guide:tagged:rust", "guide:tagged:redis"]).await?;
    assert_eq!(only, set(&["guide:tags:3"]));
    println!("rust without redis: {only:?}");

    // Related articles, by the share of tags two have in common.
    let common = redis.sinter(&["guide:tags:1", "guide:tags:3"]).await?.len();
    let all = redis.sunion(&["guide:tags:1", "guide:tags:3"]).await?.len();
    assert_eq!((common, all), (2, 4));
    println!("articles 1 and 3 share {common} of {all} tags");

    // A result that is wanted often is kept, with an expiry; in a cluster its sets need a common hash tag, see
    // `cluster`.
    assert_eq!(redis.sinterstore("guide:tagged:common", &["guide:tagged:rust", "guide:tagged:async"]).await?, 2);
    assert!(redis.expire("guide:tagged:common", 60).await?);
    let members = redis.smembers("guide:tagged:common").await?;
    assert_eq!(members, set(&["guide:tags:1", "guide:tags:3"]));

    // One by chance: looked at, taken away, moved.
    let tag = redis.srandmember("guide:tags:2").await?.expect("it has tags");
    assert!(["redis", "lua", "scripts"].contains(&tag.as_str()));
    assert!(redis.smove("guide:tags:2", "guide:tags:3", "lua").await?);
    assert_eq!(redis.srem("guide:tags:3", &["lua", "tokio", "none"]).await?, 2);
    let drawn: Option<String> = redis.spop("guide:tags:3").await?;
    assert!(drawn.is_some_and(|tag| tag == "rust" || tag == "async"));
    assert_eq!(redis.scard("guide:tags:3").await?, 1);

    redis.del(&articles.map(|(key, _)| key)).await?;
    redis.del(&indexes).await?;
    redis.del(&["guide:tagged:common", "guide:tagged:lua", "guide:tagged:tokio"]).await?;
    Ok(())
}

fn set(members: &[&str]) -> HashSet<String> {
    members.iter().map(|&member| member.to_owned()).collect()
}
