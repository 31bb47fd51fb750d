use crate::{Error, Result};
use std::borrow::Cow;

/// Builds the keys of a pattern: `prefix:{id}:suffix`, all keys of one id in one hash slot.
///
/// An id may hold anything. Braces and `%` are escaped, so that two ids never meet in one key and none picks its slot:
///
/// ```
/// # use kv_core::Keyspace;
/// let locks = Keyspace::new("lock")?;
/// assert_eq!(locks.key("invoice:42", "fence")?, "lock:{invoice:42}:fence");
/// assert_eq!(locks.key("a}b", "")?, "lock:{a%7Db}");
/// assert_eq!(locks.id("lock:{a%7Db}").as_deref(), Some("a}b"));
/// assert_eq!(locks.id("lock:{invoice:42}:fence"), None);
/// # Ok::<_, kv_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyspace {
    prefix: String,
}

impl Keyspace {
    /// A keyspace; the prefix must not be empty nor hold braces.
    pub fn new(prefix: impl Into<String>) -> Result<Self> {
        let prefix = prefix.into();
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(Error::invalid_config("keyspace", "prefix must not be empty nor hold braces"));
        }
        Ok(Self { prefix })
    }

    /// The id of a key without suffix; `None` for any other key.
    pub fn id<'a>(&self, key: &'a str) -> Option<Cow<'a, str>> {
        let id = key.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')?;
        if id.contains(['{', '}']) {
            return None;
        }
        Some(if id.contains('%') {
            Cow::Owned(id.replace("%7B", "{").replace("%7D", "}").replace("%25", "%"))
        } else {
            Cow::Borrowed(id)
        })
    }

    /// The key of an id, with a suffix unless that is empty. The id must not be empty.
    pub fn key(&self, id: &str, suffix: &str) -> Result<String> {
        if id.is_empty() {
            return Err(Error::invalid_input("key", "key must not be empty"));
        }
        let mut key = String::with_capacity(self.prefix.len() + id.len() + suffix.len() + 4);
        key.push_str(&self.prefix);
        key.push_str(":{");
        let mut rest = id;
        while let Some(at) = rest.find(['{', '}', '%']) {
            let (plain, special) = rest.split_at(at);
            key.push_str(plain);
            key.push_str(match special.as_bytes()[0] {
                b'{' => "%7B",
                b'}' => "%7D",
                _ => "%25",
            });
            rest = &special[1..];
        }
        key.push_str(rest);
        key.push('}');
        if !suffix.is_empty() {
            key.push(':');
            key.push_str(suffix);
        }
        Ok(key)
    }
}
