//! Geo: the nearest shops to a customer.
//!
//! Needs: a server.
//!
//! A geo index is a sorted set whose scores are positions, written so that near places have near scores: all commands
//! of sorted sets work on it, and a search reads a few ranges instead of every shop. Positions are exact to less than a
//! metre. Longitude comes first, as x does.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, cmd, geo::Coord, geo::Unit};

const SHOPS: &str = "guide:shops";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    redis.del(&[SHOPS, "guide:shops:near"]).await?;
    let shops = [
        (Coord::lon_lat(13.3777, 52.5163), "gate"),
        (Coord::lon_lat(13.4132, 52.5219), "square"),
        (Coord::lon_lat(13.2951, 52.5206), "palace"),
        (Coord::lon_lat(13.0386, 52.4009), "potsdam"),
        (Coord::lon_lat(9.9937, 53.5511), "hamburg"),
    ];
    assert_eq!(redis.geo_add(SHOPS, &shops).await?, 5);

    // The three nearest within 30 km, with their distance. GEOSEARCH is Redis 6.2; GEORADIUS did the same before.
    let here = (13.4050, 52.5200);
    let mut nearest = cmd("GEOSEARCH");
    nearest.arg(SHOPS).arg("FROMLONLAT").arg(here.0).arg(here.1).arg("BYRADIUS").arg(30).arg("km");
    nearest.arg("ASC").arg("COUNT").arg(3).arg("WITHDIST");
    let nearest: Vec<(String, f64)> = nearest.query_async(&mut redis).await?;
    for (shop, km) in &nearest {
        println!("{shop:<8}{km:>7.2} km");
    }
    assert_eq!(nearest.iter().map(|(shop, _)| shop.as_str()).collect::<Vec<_>>(), ["square", "gate", "palace"]);

    // What the map shows is a box rather than a circle; a shop can be its centre.
    let mut visible = cmd("GEOSEARCH");
    visible.arg(SHOPS).arg("FROMMEMBER").arg("gate").arg("BYBOX").arg(60).arg(40).arg("km").arg("ASC");
    let visible: Vec<String> = visible.query_async(&mut redis).await?;
    assert_eq!(visible, ["gate", "square", "palace", "potsdam"]);

    // Distances are those on a sphere, and so up to half a per cent off: good for "nearest", not for surveying.
    let measured = redis.geo_dist(SHOPS, "gate", "hamburg", Unit::Kilometers).await?.expect("both are there");
    let computed = kilometres((13.3777, 52.5163), (9.9937, 53.5511));
    println!("gate to hamburg: {measured:.2} km, computed here {computed:.2} km");
    assert!((measured - computed).abs() < 0.1);
    assert_eq!(redis.geo_dist(SHOPS, "gate", "atlantis", Unit::Kilometers).await?, None);
    let [Some(position)] = &redis.geo_pos(SHOPS, "gate").await?[..] else { panic!("it is there") };
    assert!((position.longitude - 13.3777).abs() < 1e-5 && (position.latitude - 52.5163).abs() < 1e-5);

    // A search that many ask for is kept: as a sorted set of distances, with an expiry.
    let mut keep = cmd("GEOSEARCHSTORE");
    keep.arg("guide:shops:near").arg(SHOPS).arg("FROMLONLAT").arg(here.0).arg(here.1);
    let kept: usize = keep.arg("BYRADIUS").arg(10).arg("km").arg("STOREDIST").query_async(&mut redis).await?;
    assert_eq!(kept, 3);
    redis.expire("guide:shops:near", 60).await?;
    // A shop closes. There is no GEODEL: it is a sorted set.
    assert_eq!(redis.zrem(SHOPS, "hamburg").await?, 1);

    redis.del(&[SHOPS, "guide:shops:near"]).await?;
    Ok(())
}

/// What Redis takes the radius of the earth to be.
const EARTH_KM: f64 = 6_372.797_560_856;

/// The distance on a sphere (haversine).
fn kilometres(from: (f64, f64), to: (f64, f64)) -> f64 {
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let cosines = from.1.to_radians().cos() * to.1.to_radians().cos();
    2.0 * EARTH_KM * (half(from.1, to.1) + cosines * half(from.0, to.0)).sqrt().asin()
}
