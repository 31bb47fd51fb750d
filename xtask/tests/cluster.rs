//! The cluster of the fixture: it forms, it fails over, it moves slots, and it leaves nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::fixture::{Cluster, Proxy, Server};
use xtask::resp::{Connection, Reply};

fn error(reply: Reply) -> String {
    if let Reply::Error(error) = reply { error } else { format!("{reply:?}") }
}

fn set(node: &Server, key: &str) -> Result<()> {
    // WAIT is about what its own connection has written.
    let mut connection = node.connect(Duration::from_secs(5))?;
    let reply = connection.call(&["SET", key, key])?;
    ensure!(reply == Reply::Status("OK".into()), "{reply:?}");
    let replicas = connection.call(&["WAIT", "1", "5000"])?;
    ensure!(replicas == Reply::Integer(1), "{replicas:?}");
    Ok(())
}

#[test]
fn two_clusters_form_at_once_and_do_not_meet() -> Result<()> {
    let start = || {
        let before = Instant::now();
        let cluster = Cluster::start()?;
        println!("cluster ready in {:?}", before.elapsed());
        anyhow::Ok(cluster)
    };
    let other = std::thread::spawn(start);
    let clusters = [start()?, other.join().expect("no panic")?];
    let ports: BTreeSet<u16> = clusters.iter().flat_map(Cluster::ports).collect();
    assert_eq!(ports.len(), 12);
    for cluster in &clusters {
        assert_eq!(cluster.masters()?, [0, 1, 2]);
        assert_eq!((0..3).map(|at| cluster.replica_of(at)).collect::<Result<Vec<_>>>()?, [3, 4, 5]);
        assert_eq!((cluster.owner_of(0)?, cluster.owner_of(16_383)?), (0, 2));
        assert!(cluster.owner_of(16_384).is_err());
        let known = cluster.nodes()[5].call(&["CLUSTER", "NODES"])?;
        assert_eq!(known.text().context("text")?.lines().count(), 6);
        let ports = cluster.ports();
        let url = cluster.url();
        assert!(
            url.starts_with(&format!("redis-cluster://127.0.0.1:{}?node=127.0.0.1:{}&", ports[0], ports[1])),
            "{url}"
        );
        assert_eq!(cluster.urls()[5], format!("redis://127.0.0.1:{}", ports[5]));
    }
    let dirs: Vec<_> = clusters.iter().flat_map(Cluster::nodes).map(|node| node.dir().to_path_buf()).collect();
    drop(clusters);
    assert!(dirs.iter().all(|dir| !dir.exists()));
    assert!(ports.iter().all(|&port| Connection::open(port, Duration::from_secs(1)).is_err()));
    Ok(())
}

#[test]
fn a_replica_takes_over_for_a_killed_master() -> Result<()> {
    let cluster = Cluster::with_args(&["--requirepass", "secret"])?;
    let slot = cluster.slot_of("key")?;
    let (master, port) = (cluster.owner_of(slot)?, cluster.ports());
    set(&cluster.nodes()[master], "key")?;
    let replica = cluster.replica_of(master)?;
    let before = Instant::now();
    cluster.nodes()[master].kill()?;
    cluster.wait_ok()?;
    println!("replica has taken over in {:?}", before.elapsed());
    assert_eq!(cluster.owner_of(slot)?, replica);
    assert_eq!(cluster.nodes()[replica].call(&["GET", "key"])?.text(), Some("key"));
    assert!(!cluster.nodes()[master].is_running());
    let before = Instant::now();
    cluster.nodes()[master].restart()?;
    cluster.wait_ok()?;
    println!("old master is a replica in {:?}", before.elapsed());
    assert_eq!(cluster.replica_of(replica)?, master);
    assert_eq!(cluster.ports(), port);
    let before = Instant::now();
    assert_eq!(cluster.fail_over(replica)?, master, "back again");
    println!("failed over in {:?}", before.elapsed());
    assert_eq!(cluster.owner_of(slot)?, master);
    assert_eq!(cluster.nodes()[master].call(&["GET", "key"])?.text(), Some("key"));
    Ok(())
}

#[test]
fn slots_move_with_their_keys() -> Result<()> {
    let cluster = Cluster::start()?;
    // One slot, in which not all keys fit into a batch.
    let keys: Vec<String> = (0..250).map(|number| format!("{{tag}}:{number}")).collect();
    let slot = cluster.slot_of("{tag}")?;
    let from = cluster.owner_of(slot)?;
    let to = (from + 1) % 3;
    let (old, new) = (&cluster.nodes()[from], &cluster.nodes()[to]);
    for key in &keys {
        set(old, key)?;
    }
    cluster.begin_move(slot, to)?;
    assert_eq!(old.call(&["GET", &keys[0]])?.text(), Some(keys[0].as_str()));
    assert_eq!(error(old.call(&["GET", "{tag}:absent"])?), format!("ASK {slot} 127.0.0.1:{}", new.port()));
    cluster.move_key(&keys[0])?;
    assert!(error(old.call(&["GET", &keys[0]])?).starts_with("ASK "));
    assert!(error(old.call(&["MGET", &keys[0], &keys[1]])?).starts_with("TRYAGAIN"));
    let mut asking = new.connect(Duration::from_secs(5))?;
    assert!(error(asking.call(&["GET", &keys[0]])?).starts_with("MOVED "));
    asking.call(&["ASKING"])?;
    assert_eq!(asking.call(&["GET", &keys[0]])?.text(), Some(keys[0].as_str()));
    cluster.finish_move(slot)?;
    assert!(cluster.finish_move(slot).is_err(), "it is there");
    assert_eq!(cluster.owner_of(slot)?, to);
    for key in &keys {
        assert_eq!(new.call(&["GET", key])?.text(), Some(key.as_str()));
        assert_eq!(error(old.call(&["GET", key])?), format!("MOVED {slot} 127.0.0.1:{}", new.port()));
    }
    let before = Instant::now();
    cluster.move_slots(0..=199, 0, 2)?;
    println!("200 slots moved in {:?}", before.elapsed());
    assert_eq!((cluster.owner_of(0)?, cluster.owner_of(199)?, cluster.owner_of(200)?), (2, 2, 0));
    assert!(cluster.move_slots(0..=0, 0, 2).is_err(), "they are not there any more");
    Ok(())
}

#[test]
fn clients_of_a_cluster_behind_proxies_are_sent_to_proxies() -> Result<()> {
    let cluster = Cluster::start_behind_proxies()?;
    let proxies: Vec<u16> = cluster.proxies().iter().map(Proxy::port).collect();
    assert_eq!(cluster.ports(), proxies);
    let slot = cluster.slot_of("key")?;
    let owner = cluster.owner_of(slot)?;
    let moved = cluster.nodes()[(owner + 1) % 3].call(&["GET", "key"])?;
    assert_eq!(error(moved), format!("MOVED {slot} 127.0.0.1:{}", proxies[owner]));
    let known = cluster.nodes()[0].call(&["CLUSTER", "NODES"])?;
    assert!(proxies.iter().all(|port| known.text().is_some_and(|text| text.contains(&format!(":{port}@")))));
    for proxy in cluster.proxies() {
        proxy.black_hole();
    }
    // What clients lose, the nodes keep.
    assert_eq!(cluster.masters()?, [0, 1, 2]);
    Ok(())
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("xtask-cluster-{}", std::process::id()));
    // The last one finds its directory taken.
    let taken = format!("{}-5", dir.display());
    std::fs::create_dir(&taken)?;
    let error = Cluster::in_dir(dir.clone(), &[]).map(|cluster| cluster.url()).expect_err("taken");
    assert!(format!("{error:#}").contains("node 5"), "{error:#}");
    std::fs::remove_dir(taken)?;
    assert!((0..6).all(|at| !std::path::Path::new(&format!("{}-{at}", dir.display())).exists()));
    let error = Cluster::in_dir(dir, &["--no-such-option", "1"]).map(|cluster| cluster.url()).expect_err("refused");
    assert!(format!("{error:#}").contains("no-such-option"), "{error:#}");
    Ok(())
}
