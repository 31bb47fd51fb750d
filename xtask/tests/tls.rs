//! Servers that speak TLS: whom they accept, and who accepts them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Result, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use xtask::fixture::{Certificates, Cluster, Server, TlsServer};
use xtask::resp::Reply;

fn ping(port: u16, host: &'static str, trusted: &Certificates, known: bool) -> Result<String> {
    ask(port, host, trusted, known, "PING")
}

/// What the server answers to a client that trusts `trusted`, and shows its certificate if it is `known`.
fn ask(port: u16, host: &'static str, trusted: &Certificates, known: bool, command: &str) -> Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.ca_pem().as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = if known {
        let certificate = CertificateDer::from_pem_slice(trusted.client_cert_pem().as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(trusted.client_key_pem().as_bytes())?;
        config.with_client_auth_cert(vec![certificate], key)?
    } else {
        config.with_no_client_auth()
    };
    let connection = ClientConnection::new(Arc::new(config), host.try_into()?)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port))?);
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = vec![0; 1 << 16];
    let count = stream.read(&mut answer)?;
    ensure!(count > 0, "the server closes the connection");
    Ok(String::from_utf8_lossy(&answer[..count]).trim_end().to_owned())
}

#[test]
fn a_client_that_trusts_the_authority_is_served() -> Result<()> {
    let tls = Server::tls(false)?;
    assert_eq!(tls.url(), format!("rediss://127.0.0.1:{}", tls.port()));
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(ping(tls.port(), host, tls.certificates(), false)?, "+PONG");
    }
    let ports = (tls.port(), tls.server().port());
    tls.server().restart()?;
    assert_eq!((tls.port(), tls.server().port()), ports);
    assert_eq!(ping(tls.port(), "localhost", tls.certificates(), false)?, "+PONG");
    assert_eq!(tls.server().call(&["PING"])?, Reply::Status("PONG".into()), "the plain port works too");
    let written = std::fs::read_to_string(tls.server().dir().join("ca.pem"))?;
    assert_eq!(written, tls.certificates().ca_pem());
    Ok(())
}

#[test]
fn a_client_refuses_another_authority_and_another_host() -> Result<()> {
    let elsewhere = Certificates::for_names(&["elsewhere.test"])?;
    let tls = TlsServer::with_certificates(elsewhere, false, &[])?;
    let error = ping(tls.port(), "localhost", &Certificates::new()?, false).expect_err("another authority");
    assert!(error.to_string().contains("UnknownIssuer"), "{error:#}");
    let error = ping(tls.port(), "localhost", tls.certificates(), false).expect_err("another host");
    assert!(error.to_string().contains("not valid for name"), "{error:#}");
    Ok(())
}

#[test]
fn a_mutual_server_refuses_strangers() -> Result<()> {
    let tls = Server::tls(true)?;
    assert_eq!(ping(tls.port(), "localhost", tls.certificates(), true)?, "+PONG");
    assert!(ping(tls.port(), "localhost", tls.certificates(), false).is_err());
    Ok(())
}

#[test]
fn what_is_secret_stays_out_of_debug() -> Result<()> {
    assert!(!format!("{:?}", Certificates::new()?).contains("KEY"));
    Ok(())
}

#[test]
fn the_nodes_of_a_cluster_tell_clients_the_ports_that_speak_tls() -> Result<()> {
    let cluster = Cluster::tls()?;
    let certificates = cluster.certificates().expect("made for it");
    assert!(cluster.url().starts_with("rediss-cluster://127.0.0.1:"));
    let known = ask(cluster.ports()[0], "127.0.0.1", certificates, false, "CLUSTER NODES")?;
    assert!(cluster.ports().iter().all(|port| known.contains(&format!(":{port}@"))), "{known}");
    let slot = cluster.slot_of("key")?;
    let from = cluster.owner_of(slot)?;
    let to = (from + 1) % 3;
    assert_eq!(cluster.nodes()[from].call(&["SET", "key", "value"])?, Reply::Status("OK".into()));
    cluster.move_slots(slot..=slot, from, to)?;
    let moved = ask(cluster.ports()[from], "127.0.0.1", certificates, false, "GET key")?;
    assert_eq!(moved, format!("-MOVED {slot} 127.0.0.1:{}", cluster.ports()[to]));
    assert_eq!(cluster.nodes()[to].call(&["GET", "key"])?.text(), Some("value"));
    Ok(())
}
