use std::fmt;

/// How `rediss` connections are encrypted, and who proves what to whom.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificate authorities that servers are checked against, as PEM. Default: the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The client's own certificate chain, as PEM, for servers that ask. Default: none.
    pub client_cert_pem: Option<Vec<u8>>,
    /// The key of that certificate, as PEM. Default: none.
    pub client_key_pem: Option<Vec<u8>>,
    /// The name a server's certificate has to bear. Default: the host it is reached by.
    pub server_name: Option<String>,
}

impl TlsOptions {
    /// Sets [`ca_pem`](Self::ca_pem).
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Sets [`client_cert_pem`](Self::client_cert_pem) and [`client_key_pem`](Self::client_key_pem).
    #[must_use]
    pub fn client(mut self, cert_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        (self.client_cert_pem, self.client_key_pem) = (Some(cert_pem.into()), Some(key_pem.into()));
        self
    }

    /// Sets [`server_name`](Self::server_name).
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for TlsOptions {
    /// Says what is there, and shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca_pem", &self.ca_pem.is_some())
            .field("client", &self.client_cert_pem.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}
