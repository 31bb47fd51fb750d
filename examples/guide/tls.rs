//! TLS: a private certificate authority, and a certificate of the client's own.
//!
//! Needs: a server with TLS.
//!
//! `rediss://` encrypts, and the server proves who it is by a certificate that an authority has signed. Inside a
//! company that authority is private, so the client has to be told of it. A server may ask the same of its clients:
//! then who has no certificate is turned away before it can so much as guess a password.

use anyhow::{Context, Result};
use kv_core::{KvStore, SetOptions};
use kv_redis::{RedisOptions, RedisStore, TlsOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let [authority, certificate, key] = [file("REDIS_CA")?, file("REDIS_CLIENT_CERT")?, file("REDIS_CLIENT_KEY")?];

    // The public authorities that come with the system have not signed this server's certificate.
    let error = RedisStore::connect(&url).await.expect_err("nobody vouches for the server");
    println!("without the authority: {}", chain(&error));

    // With the authority we trust the server. It does not trust us.
    let tls = TlsOptions::default().ca_pem(authority);
    let error = RedisStore::connect_with(&url, RedisOptions::default().tls(tls.clone())).await;
    println!("without a certificate: {}", chain(&error.expect_err("the server asks who we are")));

    // Each knows the other now.
    let tls = tls.client(certificate, key);
    let store = RedisStore::connect_with(&url, RedisOptions::default().tls(tls.clone())).await?;
    store.set("guide:sealed", b"letter", SetOptions::default()).await?;
    assert_eq!(store.get("guide:sealed").await?.as_deref(), Some(&b"letter"[..]));
    println!("with both: connected");
    // The certificate is for the host we named. Behind a tunnel the name differs, and can be given; a wrong one is
    // refused.
    let wrong = tls.server_name("redis.example.com");
    let error = RedisStore::connect_with(&url, RedisOptions::default().tls(wrong)).await;
    println!("with another name: {}", chain(&error.expect_err("the certificate is for another host")));

    // Neither the key nor the certificate can be read out of a log.
    assert!(!format!("{:?}", store.options()).contains("PRIVATE"));
    store.delete(&["guide:sealed"]).await?;
    Ok(())
}

/// The PEM file that a variable names.
fn file(variable: &str) -> Result<Vec<u8>> {
    let path = std::env::var(variable).with_context(|| format!("{variable} names no file"))?;
    std::fs::read(&path).with_context(|| path)
}

/// An error and its causes.
fn chain(error: &kv_core::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}
