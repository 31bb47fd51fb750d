use kv_core::{Error, ErrorKind, Executed};
use redis::RedisError;

/// A redis-rs error in the terms of kv-core, by the server's error code where there is one.
pub(crate) fn classify(operation: &'static str, error: &RedisError) -> Error {
    if let Some(cause) = abort_cause(error) {
        return classify(operation, &cause).with_executed(Executed::No);
    }
    let Some(code) = error.code() else { return classify_local(operation, error) };
    let detail = error.detail().unwrap_or_default();
    let (code, detail) = within_script(detail).unwrap_or((code, detail));
    let not_executed = |kind| Error::new(kind, operation).with_executed(Executed::No).with_detail(code.to_owned());
    match code {
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "NOREPLICAS" | "UNBLOCKED" => {
            not_executed(ErrorKind::Unavailable)
        }
        "NOAUTH" | "WRONGPASS" | "NOPERM" => not_executed(ErrorKind::Auth),
        "OOM" => not_executed(ErrorKind::OutOfMemory),
        "WRONGTYPE" => not_executed(ErrorKind::WrongType),
        "MOVED" | "ASK" => not_executed(ErrorKind::InvalidConfig).with_detail("the server is a cluster node"),
        // Our own scripts' word for a key that holds something else than they wrote.
        "CORRUPT" => not_executed(ErrorKind::Corrupt).with_detail(detail.to_owned()),
        "CROSSSLOT" => Error::invalid_input(operation, "keys of one operation must share a hash slot"),
        "ERR" if detail.starts_with("max number of clients") => not_executed(ErrorKind::Unavailable),
        "ERR" if detail.starts_with("value is not an integer") => {
            not_executed(ErrorKind::WrongType).with_detail("value is not an integer")
        }
        "ERR" if detail.starts_with("increment or decrement would overflow") => {
            Error::invalid_input(operation, "increment would overflow")
        }
        _ => Error::new(ErrorKind::Rejected, operation).with_detail(format!("{code} {}", without_arguments(detail))),
    }
}

/// Why a transaction was given up before any of it was executed.
pub(crate) fn abort_cause(error: &RedisError) -> Option<RedisError> {
    if error.code() != Some("EXECABORT") {
        return None;
    }
    let causes = error.clone().into_server_errors()?;
    causes.iter().map(|(_, cause)| cause).find(|cause| cause.code() != "EXECABORT").cloned().map(RedisError::from)
}

/// What a command within a script said, which servers before 7.0 wrap, once or twice:
/// `ERR Error running script (…): @user_script:2: WRONGTYPE …`, `… @user_script:9: @user_script: 9: -OOM …`.
fn within_script(detail: &str) -> Option<(&str, &str)> {
    let (_, place) = detail.strip_prefix("Error running script")?.rsplit_once("@user_script:")?;
    place.split_once(": ")?.1.trim_start_matches('-').split_once(' ')
}

/// Redis quotes the arguments of a command it does not know.
fn without_arguments(detail: &str) -> &str {
    detail.split(", with args beginning with").next().unwrap_or_default()
}

/// An error that no server sent.
fn classify_local(operation: &'static str, error: &RedisError) -> Error {
    let of = |kind| Error::new(kind, operation);
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => of(ErrorKind::Auth),
        redis::ErrorKind::InvalidClientConfig => of(ErrorKind::InvalidConfig).with_source(Told(error.to_string())),
        redis::ErrorKind::RESP3NotSupported => of(ErrorKind::Unsupported).with_detail("the server speaks no RESP3"),
        redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => of(ErrorKind::UnexpectedReply),
        _ if error.is_timeout() => of(ErrorKind::Timeout).with_source(Told(error.to_string())),
        _ if error.is_connection_refusal() => {
            of(ErrorKind::Unavailable).with_executed(Executed::No).with_source(Told(error.to_string()))
        }
        _ if error.is_io_error() || error.is_connection_dropped() => {
            of(ErrorKind::Unavailable).with_source(Told(error.to_string()))
        }
        redis::ErrorKind::Client => of(ErrorKind::InvalidInput).with_source(Told(error.to_string())),
        _ => of(ErrorKind::Rejected).with_source(Told(error.to_string())),
    }
}

/// What redis-rs says, cause included: as a source it would be told twice, and tie callers to a version of redis-rs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

/// The same for a script, which may have written something before a command of it failed.
pub(crate) fn classify_script(operation: &'static str, error: &RedisError) -> Error {
    let error = classify(operation, error);
    match error.kind() {
        ErrorKind::WrongType | ErrorKind::OutOfMemory | ErrorKind::Corrupt | ErrorKind::InvalidInput => {
            error.with_executed(Executed::Maybe)
        }
        _ => error,
    }
}

pub(crate) fn timed_out(operation: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, operation).with_detail("deadline passed")
}
