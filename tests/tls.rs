//! Encrypted connections: whom the store trusts, and who trusts it.

use kv_core::{ErrorKind, Executed, KvStore, PubSub, SetOptions};
use kv_redis::{RedisOptions, RedisStore, TlsOptions};
use std::time::{Duration, Instant};
use xtask::fixture::{Certificates, TlsServer};

fn server(mutual: bool) -> TlsServer {
    TlsServer::with_args(mutual, &[]).unwrap()
}

async fn connect(url: &str, tls: TlsOptions) -> kv_core::Result<RedisStore> {
    RedisStore::connect_with(url, RedisOptions::default().tls(tls)).await
}

fn trusting(certificates: &Certificates) -> TlsOptions {
    TlsOptions::default().ca_pem(certificates.ca_pem())
}

#[tokio::test]
async fn a_private_authority_is_trusted_and_everything_works() {
    let server = server(false);
    let store = connect(&server.url(), trusting(server.certificates())).await.unwrap();
    let mut news = store.subscribe(&["news"]).await.unwrap();
    store.set("key", &[7; 100_000], SetOptions::default()).await.unwrap();
    assert_eq!(store.get("key").await.unwrap().unwrap().len(), 100_000);
    store.publish("news", b"hello").await.unwrap();
    assert_eq!(news.next_message().await.unwrap().payload, "hello");
    server.server().restart().unwrap();
    crate::backend::eventually("it comes back", || async { store.get("key").await.is_ok() }).await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_for_good() {
    let server = server(false);
    let stranger = Certificates::new().unwrap();
    for tls in [trusting(&stranger), TlsOptions::default()] {
        let error = connect(&server.url(), tls).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::InvalidConfig, Executed::No), "{error}");
    }
}

#[tokio::test]
async fn the_name_has_to_be_the_servers() {
    let server = TlsServer::with_certificates(Certificates::for_names(&["db.example"]).unwrap(), false, &[]).unwrap();
    let tls = trusting(server.certificates());
    let error = connect(&server.url(), tls.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    connect(&server.url(), tls.server_name("db.example")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_one() {
    let server = server(true);
    let certificates = server.certificates();
    let error = connect(&server.url(), trusting(certificates)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidConfig | ErrorKind::Unavailable), "{error}");
    let tls = trusting(certificates).client(certificates.client_cert_pem(), certificates.client_key_pem());
    connect(&server.url(), tls).await.unwrap().set("key", b"1", SetOptions::default()).await.unwrap();
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_by_name() {
    let certificates = Certificates::new().unwrap();
    let (cert, key) = (certificates.client_cert_pem(), certificates.client_key_pem());
    let stranger = Certificates::new().unwrap();
    let mut half = TlsOptions::default();
    half.client_cert_pem = Some(cert.into());
    let wrong = [
        (TlsOptions::default().ca_pem("nothing"), "ca_pem"),
        (TlsOptions::default().client("nothing", key), "client_cert_pem"),
        (TlsOptions::default().client(cert, "nothing"), "client_key_pem"),
        (TlsOptions::default().client(cert, stranger.client_key_pem()), "client_key_pem"),
        (half, "client_cert_pem"),
        (TlsOptions::default().server_name("not a name"), "server_name"),
    ];
    for (tls, field) in wrong {
        assert!(!format!("{tls:?}").contains("PRIVATE"));
        let error = connect("rediss://127.0.0.1:1", tls).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_fails_in_time() {
    let server = server(false);
    let started = Instant::now();
    let plain = server.server().url().replace("redis:", "rediss:");
    assert!(connect(&plain, trusting(server.certificates())).await.is_err());
    assert!(connect(&server.url().replace("rediss:", "redis:"), TlsOptions::default()).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}
