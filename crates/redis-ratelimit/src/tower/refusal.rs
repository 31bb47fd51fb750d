use crate::Decision;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE, request};
use kv_core::Error;

/// A request that is not let through, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// The request.
    pub request: &'a request::Parts,
    /// The name of the policy.
    pub policy: &'a str,
    /// Why.
    pub reason: Reason<'a>,
    /// What `Retry-After` will say, in seconds; none if waiting does not help.
    pub retry_after: Option<u64>,
}

/// Why a request is not let through.
#[derive(Debug)]
pub enum Reason<'a> {
    /// It is over the limit.
    Quota(Decision),
    /// Nobody's quota could be found for it.
    NoKey,
    /// The store failed. It may name no key, value or password, and is still none of the client's business.
    Store(&'a Error),
}

impl Refusal<'_> {
    /// The status: 429, 400 or 503.
    pub fn status(&self) -> StatusCode {
        match self.reason {
            Reason::Quota(_) => StatusCode::TOO_MANY_REQUESTS,
            Reason::NoKey => StatusCode::BAD_REQUEST,
            Reason::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response unless one is [configured](super::LayerOptions::respond): `application/problem+json` as RFC 9457 has it.
    pub fn problem(&self) -> Response<String> {
        let status = self.status().as_u16();
        let body = match self.reason {
            Reason::Quota(_) => {
                // The name has visible ASCII only, so that these two are all there is to escape.
                let policy = self.policy.replace('\\', "\\\\").replace('"', "\\\"");
                format!(
                    "{{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
                     \"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\
                     \"status\":{status},\"violated-policies\":[\"{policy}\"]}}"
                )
            }
            Reason::NoKey => plain("Bad Request", "the request does not say whose quota it uses", status),
            Reason::Store(_) => plain("Service Unavailable", "quotas cannot be checked now", status),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// A problem that is no more than its status.
fn plain(title: &str, detail: &str, status: u16) -> String {
    format!("{{\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\"}}")
}
