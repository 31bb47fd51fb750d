use std::{fmt, time::Duration};

/// What is wanted of a room, and how much all in it may weigh then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) weight: u32,
    pub(crate) limit: u32,
}

/// What an acquisition writes under the key of its lock: 128 random bits, a slash, a label if the options have one, and in a room the
/// weight.
///
/// By the slash scripts know a token of ours, behind which they may put an asterisk.
#[derive(Clone, Default)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn random(label: Option<&str>, share: Option<Share>) -> Self {
        let (bits, label) = (rand::random::<u128>(), label.unwrap_or_default());
        Self(match share {
            None => format!("{bits:032x}/{label}"),
            Some(share) => format!("{bits:032x}/{label}:{}", share.weight),
        })
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
