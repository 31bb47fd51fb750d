//! Servers that speak TLS: whom they accept, and who accepts them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::Result;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use xtask::fixture::{Certificates, Server, TlsServer};
use xtask::resp::Reply;

/// What the server answers to a PING of a client that trusts `trusted`, and shows its certificate if it is `known`.
fn ping(port: u16, host: &'static str, trusted: &Certificates, known: bool) -> Result<String> {
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
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
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
