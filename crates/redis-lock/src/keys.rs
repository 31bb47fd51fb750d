use crate::{KeyStyle, LockOptions};
use kv_core::{Error, Keyspace, Result};
use std::sync::Arc;

/// What the keys are those of, and so which scripts know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Lock,
    Room,
}

/// The keys of one lock or room, all in one hash slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) kind: Kind,
    pub(crate) lock: Arc<str>,
    pub(crate) fence: String,
    pub(crate) line: String,
}

/// Makes the keys of names.
#[derive(Clone, Debug)]
pub(crate) enum Naming {
    Tagged(Keyspace),
    /// What other libraries put before a name.
    Plain(String),
}

impl Naming {
    pub(crate) fn new(options: &LockOptions) -> Result<Self> {
        Ok(match options.key_style {
            KeyStyle::Tagged => Self::Tagged(Keyspace::new(&options.prefix)?),
            KeyStyle::Verbatim => Self::Plain(String::new()),
            KeyStyle::Prefix => Self::Plain(options.prefix.clone()),
            KeyStyle::Spring => Self::Plain(format!("{}:", options.prefix)),
        })
    }

    pub(crate) fn keys(&self, name: &str) -> Result<Keys> {
        match self {
            Self::Tagged(space) => Ok(Keys {
                kind: Kind::Lock,
                lock: space.key(name, "")?.into(),
                fence: space.key(name, "fence")?,
                line: space.key(name, "line")?,
            }),
            Self::Plain(prefix) => {
                let (lock, beside) = plain(prefix, name)?;
                Ok(Keys {
                    kind: Kind::Lock,
                    fence: format!("{beside}:lock-fence"),
                    line: format!("{beside}:lock-line"),
                    lock: lock.into(),
                })
            }
        }
    }

    /// The keys of a room beside the lock of the same name, and of rooms for another purpose.
    pub(crate) fn room(&self, name: &str, purpose: &str) -> Result<Keys> {
        let room = match self {
            Self::Tagged(space) => space.key(name, purpose)?,
            Self::Plain(prefix) => format!("{}:lock-{purpose}", plain(prefix, name)?.1),
        };
        Ok(Keys { kind: Kind::Room, fence: format!("{room}-fence"), line: format!("{room}-line"), lock: room.into() })
    }
}

/// The key of a lock as other libraries have it, and what keys beside it begin with.
fn plain(prefix: &str, name: &str) -> Result<(String, String)> {
    if name.is_empty() {
        return Err(Error::invalid_input("lock", "name must not be empty"));
    }
    let lock = format!("{prefix}{name}");
    let beside =
        beside(&lock).ok_or_else(|| Error::invalid_input("lock", "no key can share the hash slot of this name"))?;
    Ok((lock, beside))
}

/// Whether all of these locks are in one hash slot, as far as their hash tags tell.
pub(crate) fn same_slot(locks: &[Keys]) -> bool {
    let mut tags = locks.iter().map(|keys| hashed(&keys.lock));
    let first = tags.next();
    tags.all(|tag| Some(tag) == first)
}

/// The part of a key that a cluster hashes.
fn hashed(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// What other keys of a key's hash slot begin with: the key itself where it has a hash tag, else the key as a tag.
fn beside(key: &str) -> Option<String> {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    match tag {
        Some("") => None,
        Some(_) => Some(key.to_owned()),
        None if key.contains('}') => None,
        None => Some(format!("{{{key}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_libraries_have_neighbours_in_their_slot() {
        let plain = |style, prefix: &str| Naming::new(&LockOptions::default().key_style(style).prefix(prefix)).unwrap();
        for name in ["job", "a{b}c", "{b}", "a{b", "{", "x{y}{z}", "ü"] {
            let keys = plain(KeyStyle::Verbatim, "").keys(name).unwrap();
            assert_eq!(&*keys.lock, name);
            assert_eq!(hashed(&keys.lock), hashed(&keys.fence), "{name}");
            assert_eq!(hashed(&keys.lock), hashed(&keys.line), "{name}");
            assert!(keys.fence != keys.line && keys.fence != *keys.lock);
            let room = plain(KeyStyle::Verbatim, "").room(name, "rw").unwrap();
            for key in [&*room.lock, &room.fence, &room.line] {
                assert_eq!(hashed(key), hashed(&keys.lock), "{name}");
            }
        }
        for name in ["", "a}b", "{}a", "a{}b}"] {
            assert!(plain(KeyStyle::Verbatim, "").keys(name).is_err(), "{name}");
        }
        assert_eq!(&*plain(KeyStyle::Prefix, "redlock:").keys("a").unwrap().lock, "redlock:a");
        assert_eq!(&*plain(KeyStyle::Spring, "registry").keys("a").unwrap().lock, "registry:a");
        assert_eq!(&*plain(KeyStyle::Tagged, "lock").keys("a").unwrap().lock, "lock:{a}");
    }
}
