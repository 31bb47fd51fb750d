use super::address;
use http::{
    header::{FORWARDED, HeaderName},
    request::Parts,
};
use kv_core::{Error, Result};
use std::{fmt, net::IpAddr, sync::Arc};

/// Whose quota a request uses.
///
/// Behind proxies the address of the peer is the last proxy's, and the fields in which they name the client begin with whatever
/// the client wrote there itself. So those are counted from the right: only what your own proxies appended is looked at.
#[derive(Clone)]
#[doc(alias = "KeyExtractor")]
#[doc(alias = "IdentifierFn")]
pub struct Key {
    source: Source,
    ipv6_prefix: u8,
}

#[derive(Clone)]
enum Source {
    Header(HeaderName),
    Peer(Found<IpAddr>),
    Forwarded(HeaderName, usize),
    Request(Found<String>),
}

type Found<T> = Arc<dyn Fn(&Parts) -> Option<T> + Send + Sync>;

/// Longer ones would be a way to fill the store.
const MAX_HEADER_BYTES: usize = 1024;

impl Key {
    /// The value of a header, the first if there are several; none if it is empty, no UTF-8 or longer than 1024 bytes.
    ///
    /// Whoever may choose the value chooses whose quota to use: check it before this layer, or limit by address as well. It becomes part of
    /// a key in Redis as it is; hash what is secret in [`request`](Self::request).
    pub fn header(name: HeaderName) -> Self {
        Self::new(Source::Header(name))
    }

    /// The address of the peer, which servers keep in different places; none is never a panic.
    ///
    /// In axum: `Key::peer(|request| Some(request.extensions.get::<ConnectInfo<SocketAddr>>()?.ip()))`, served with
    /// `into_make_service_with_connect_info`.
    #[doc(alias = "PeerIpKeyExtractor")]
    pub fn peer(address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self::new(Source::Peer(Arc::new(address)))
    }

    /// The client's address as so many trusted proxies tell it in `X-Forwarded-For`: the entry so far from the right, 1 for one proxy.
    ///
    /// None if there are fewer entries. Nobody but the proxies may be able to reach the service.
    #[doc(alias = "SmartIpKeyExtractor")]
    pub fn forwarded_for(proxies: usize) -> Self {
        Self::new(Source::Forwarded(HeaderName::from_static("x-forwarded-for"), proxies))
    }

    /// As [`forwarded_for`](Self::forwarded_for), in the field `Forwarded` of RFC 7239. Choose the one that your proxies write: the other is the client's.
    pub fn forwarded(proxies: usize) -> Self {
        Self::new(Source::Forwarded(FORWARDED, proxies))
    }

    /// Anything in the request; an empty text is none.
    pub fn request(id: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::new(Source::Request(Arc::new(id)))
    }

    /// Sets how many bits of an IPv6 address count, 1 to 128, since who has one address has all of a network. Default: 64.
    #[must_use]
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.ipv6_prefix = bits;
        self
    }

    fn new(source: Source) -> Self {
        Self { source, ipv6_prefix: 64 }
    }

    pub(super) fn check(&self) -> Result<()> {
        if let Source::Forwarded(_, 0) = self.source {
            return Err(Error::invalid_config("ratelimit", "key: with no proxy the client is the peer"));
        }
        if self.ipv6_prefix == 0 || self.ipv6_prefix > 128 {
            return Err(Error::invalid_config("ratelimit", "key: ipv6_prefix must be from 1 to 128"));
        }
        Ok(())
    }

    pub(super) fn of(&self, request: &Parts) -> Option<String> {
        let address = match &self.source {
            Source::Header(name) => {
                let value = request.headers.get(name)?.as_bytes();
                let text = std::str::from_utf8(value).ok()?;
                return (1..=MAX_HEADER_BYTES).contains(&text.len()).then(|| text.to_owned());
            }
            Source::Request(id) => return id(request).filter(|id| !id.is_empty()),
            Source::Peer(address) => address(request)?,
            Source::Forwarded(name, proxies) => address::forwarded(&request.headers, name, *proxies)?,
        };
        Some(address::id(address, self.ipv6_prefix))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Header(name) => write!(f, "Key::header({name})"),
            Source::Peer(_) => write!(f, "Key::peer(_)/{}", self.ipv6_prefix),
            Source::Forwarded(name, proxies) => write!(f, "Key({name}, {proxies})/{}", self.ipv6_prefix),
            Source::Request(_) => f.write_str("Key::request(_)"),
        }
    }
}
