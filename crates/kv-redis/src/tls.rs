use crate::{TlsOptions, transport::Stream};
use kv_core::{Error, Result};
use std::{fmt, io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

/// Encrypts streams, by a configuration and a crypto provider of its own: the application needs neither.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    server_name: Option<String>,
}

impl Tls {
    pub(crate) fn new(options: &TlsOptions) -> Result<Self> {
        let refused = |detail: &'static str| Error::invalid_config("connect", detail);
        let mut roots = RootCertStore::empty();
        match &options.ca_pem {
            Some(pem) => {
                for certificate in certificates(pem).ok_or_else(|| refused("tls.ca_pem holds no certificate"))? {
                    roots.add(certificate).map_err(|_| refused("tls.ca_pem holds a broken certificate"))?;
                }
            }
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused("tls has no protocol version").with_source(error))?
            .with_root_certificates(roots);
        let config = match (&options.client_cert_pem, &options.client_key_pem) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert).ok_or_else(|| refused("tls.client_cert_pem holds no certificate"))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| refused("tls.client_key_pem holds no key"))?;
                let chained = builder.with_client_auth_cert(chain, key);
                chained.map_err(|_| refused("tls.client_key_pem is not the key of tls.client_cert_pem"))?
            }
            _ => return Err(refused("tls.client_cert_pem and tls.client_key_pem go together")),
        };
        if let Some(name) = &options.server_name {
            ServerName::try_from(name.as_str()).map_err(|_| refused("tls.server_name is not a name"))?;
        }
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name: options.server_name.clone() })
    }

    pub(crate) async fn wrap(&self, host: &str, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(self.connector.connect(name, stream).await?))
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
