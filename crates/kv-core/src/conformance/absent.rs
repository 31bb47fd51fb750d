//! What a store does not have it does not have tomorrow either, and patterns that ask for it are told.

use super::{
    Failure, Room,
    check::{ensure, refused},
};
use crate::{ErrorKind::Unsupported, KvStoreExt};

/// Patterns ask once, at construction, and another time for each call.
const ASKED: usize = 3;

/// Without scripts there is no Lua, and who requires scripts is told so.
pub async fn absent_scripts_are_refused(room: &Room) -> Result<(), Failure> {
    let store = room.store();
    ensure!(!store.capabilities().lua, "a store without scripts says that it runs lua");
    for _ in 0..ASKED {
        refused("require_scripts", store.require_scripts("conformance").map(drop), Unsupported)?;
    }
    Ok(())
}

/// Without publish and subscribe, who requires it is told so.
pub async fn absent_pubsub_is_refused(room: &Room) -> Result<(), Failure> {
    for _ in 0..ASKED {
        refused("require_pubsub", room.store().require_pubsub("conformance").map(drop), Unsupported)?;
    }
    Ok(())
}

/// Without a walk over the keys, who requires it is told so.
pub async fn absent_scan_is_refused(room: &Room) -> Result<(), Failure> {
    for _ in 0..ASKED {
        refused("require_scan", room.store().require_scan("conformance").map(drop), Unsupported)?;
    }
    Ok(())
}

/// Without lists, who requires them is told so.
pub async fn absent_lists_are_refused(room: &Room) -> Result<(), Failure> {
    for _ in 0..ASKED {
        refused("require_blocking", room.store().require_blocking("conformance").map(drop), Unsupported)?;
    }
    Ok(())
}

/// Where nobody tells which keys change, who requires it is told so.
pub async fn absent_tracking_is_refused(room: &Room) -> Result<(), Failure> {
    for _ in 0..ASKED {
        refused("require_tracking", room.store().require_tracking("conformance").map(drop), Unsupported)?;
    }
    Ok(())
}
