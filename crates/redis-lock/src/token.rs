use std::{fmt, time::Duration};

/// What an acquisition writes under the key of its lock: 128 random bits, a slash, and a label if the options have one.
///
/// By the slash scripts know a token of ours, behind which they may put an asterisk.
#[derive(Clone, Default)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn random(label: Option<&str>) -> Self {
        let bits = rand::random::<u128>();
        Self(format!("{bits:032x}/{}", label.unwrap_or_default()))
    }

    /// The token of a holder who shares a room with others.
    pub(crate) fn weighing(self, weight: u32) -> Self {
        Self(format!("{}:{weight}", self.0))
    }

    pub(crate) fn from_parts(token: String) -> Self {
        Self(token)
    }

    /// The place in line of this token's owner.
    pub(crate) fn ticket(&self, claim: Duration, count: u64, channel: &str) -> String {
        format!("{}:{}:{count}:{channel}", self.0, claim.as_millis())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whoever knows a token can release its lock.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
