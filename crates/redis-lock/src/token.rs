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
        let label = label.unwrap_or_default();
        let mut token = String::with_capacity(33 + label.len());
        let mut bits = rand::random::<u128>();
        for _ in 0..32 {
            token.push(char::from(b"0123456789abcdef"[(bits & 15) as usize]));
            bits >>= 4;
        }
        token.push('/');
        token.push_str(label);
        if let Some(share) = share {
            token.push_str(&format!(":{}", share.weight));
        }
        Self(token)
    }

    pub(crate) fn from_parts(token: String) -> Self {
        Self(token)
    }

    /// The place in line of this token's owner, who listens to the channel if there is one, of which the server may know.
    pub(crate) fn ticket(&self, claim: Duration, count: u64, channel: &str, is_known: bool) -> String {
        let known = u8::from(is_known && !channel.is_empty());
        format!("{}:{}:{count}:{known}:{channel}", self.0, claim.as_millis())
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
