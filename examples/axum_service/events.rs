//! What the page shows, twice a second: server-sent events.

use crate::App;
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::stream::{Stream, unfold};
use serde_json::{Map, Value, json};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, time::interval};

const EVERY: Duration = Duration::from_millis(500);

/// Measures for all who look, so that each of them costs no more than what it is sent.
pub(crate) async fn tell(app: Arc<App>) {
    let (mut ticks, mut before) = (interval(EVERY), app.meter.totals(&app.shop));
    loop {
        ticks.tick().await;
        let totals = app.meter.totals(&app.shop);
        let (p50, p99) = app.meter.latency();
        let per_second = |(now, then): (u64, u64)| json!((now - then) as f64 / EVERY.as_secs_f64());
        let rates = totals.named().into_iter().zip(before.named());
        let rates: Map<_, _> = rates.map(|((name, now), (_, then))| (name.into(), per_second((now, then)))).collect();
        let latency = json!({"p50": p50.as_secs_f64() * 1000.0, "p99": p99.as_secs_f64() * 1000.0});
        let guards = json!({"cache": app.guards.cache(), "limit": app.guards.limit(), "lock": app.guards.lock()});
        let totals_now: Map<_, _> =
            totals.named().into_iter().map(|(name, total)| (name.into(), json!(total))).collect();
        app.told.send_replace(json!({"rates": rates, "totals": totals_now, "ms": latency, "guards": guards}));
        before = totals;
    }
}

/// Each event is the latest there is: a slow reader misses some, and holds up nobody.
pub(crate) async fn events(State(app): State<Arc<App>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let next = |mut told: watch::Receiver<Value>| async move {
        told.changed().await.ok()?;
        let event = Event::default().data(told.borrow_and_update().to_string());
        Some((Ok(event), told))
    };
    Sse::new(unfold(app.told.subscribe(), next)).keep_alive(KeepAlive::default())
}
