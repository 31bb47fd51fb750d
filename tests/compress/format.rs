//! Values for clients without this crate, and values of theirs.

use super::{layer, products};
use crate::backend::{Backend, on_every_backend};
use flate2::{Compression, write::GzEncoder};
use kv_core::{ErrorKind, KvStore, SetOptions};
use redis_compress::{Algorithm, CompressOptions, Compressed, Format, gunzip, gzip};
use std::{
    io::Write,
    process::{Command, Stdio},
};

on_every_backend!(
    pure_gzip_is_a_member_and_nothing_else,
    gzip_of_others_is_unpacked_where_that_is_asked_for,
    readers_come_before_writers,
);

fn pure() -> CompressOptions {
    CompressOptions::default().format(Format::Gzip)
}

async fn pure_gzip_is_a_member_and_nothing_else(backend: &Backend) {
    let store = layer(backend, pure());
    for value in [vec![], b"short".to_vec(), gzip(b"gzip itself", 6), b"\xf8KZ\x01".to_vec(), products(30)] {
        store.set("key", &value, SetOptions::default()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().unwrap(), value);
        let stored = backend.store.get("key").await.unwrap().unwrap();
        assert_eq!(gunzip(&stored, 1 << 20).unwrap(), value);
    }
    backend.store.set("key", b"plain", SetOptions::default()).await.unwrap();
    assert_eq!(store.get("key").await.unwrap_err().kind(), ErrorKind::Corrupt);
    let lenient = layer(backend, pure().read_legacy(true));
    assert_eq!(lenient.get("key").await.unwrap().unwrap(), "plain");

    let narrow = layer(backend, pure().max_decompressed(1000));
    let error = narrow.set("large", &[0; 1001], SetOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "what could not be read back is not written");
    assert!(!backend.store.exists("large").await.unwrap());
}

async fn gzip_of_others_is_unpacked_where_that_is_asked_for(backend: &Backend) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"written by others").unwrap();
    let foreign = encoder.finish().unwrap();
    backend.store.set("theirs", &foreign, SetOptions::default()).await.unwrap();
    backend.store.set("bare", b"bare", SetOptions::default()).await.unwrap();

    let strict = layer(backend, CompressOptions::default());
    assert_eq!(strict.get("theirs").await.unwrap().unwrap(), foreign);
    let lenient = layer(backend, CompressOptions::default().read_legacy(true));
    assert_eq!(lenient.get("theirs").await.unwrap().unwrap(), "written by others");
    assert_eq!(lenient.get("bare").await.unwrap().unwrap(), "bare");
    // A value of our own that is gzip is marked, so nobody takes it for theirs.
    lenient.set("ours", &foreign, SetOptions::default()).await.unwrap();
    assert_eq!(lenient.get("ours").await.unwrap().unwrap(), foreign);
    assert_eq!(strict.get("ours").await.unwrap().unwrap(), foreign);
}

/// A rolling migration from bare values to compressed ones, and on to another algorithm.
async fn readers_come_before_writers(backend: &Backend) {
    let value = products(30);
    let reader = layer(backend, CompressOptions::default().threshold(usize::MAX));
    let gzips = layer(backend, CompressOptions::default());
    let zstds = layer(backend, CompressOptions::default().algorithm(Algorithm::Zstd));
    let stages: [(&str, &dyn KvStore); 4] =
        [("bare", &*backend.store), ("reader", &reader), ("gzip", &gzips), ("zstd", &zstds)];
    for (key, writer) in stages {
        writer.set(key, &value, SetOptions::default()).await.unwrap();
    }
    for (key, _) in stages {
        for (stage, store) in &stages[1..] {
            assert_eq!(store.get(key).await.unwrap().unwrap(), value, "{stage} reads {key}");
        }
    }
    assert_eq!(backend.store.get("reader").await.unwrap().unwrap(), value, "a reader writes what all can read");
}

/// What a program makes of its input.
fn through(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    let mut running = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut stdin = running.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let done = running.wait_with_output().expect("it ends");
    writing.join().unwrap().expect("all of it is taken");
    assert!(done.status.success(), "{program} {args:?}");
    Some(done.stdout)
}

#[tokio::test]
async fn gzip_and_python_read_and_write_the_same() {
    let backend = Backend::memory();
    let store = layer(&backend, pure());
    let programs = [
        ("gzip", ["-d", "-c"], ["-9", "-c"]),
        (
            "python3",
            ["-c", "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))"],
            ["-c", "import gzip, sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read()))"],
        ),
    ];
    let mut spoken = 0;
    for (program, unpack, pack) in programs {
        for value in [products(100), super::noise(70_000), b"x".to_vec(), vec![]] {
            store.set("key", &value, SetOptions::default()).await.unwrap();
            let stored = backend.store.get("key").await.unwrap().unwrap();
            let Some(read) = through(program, &unpack, &stored) else {
                eprintln!("no {program} here");
                break;
            };
            assert_eq!(read, value, "{program} reads what we write");
            let theirs = through(program, &pack, &value).expect("it is there");
            backend.store.set("key", &theirs, SetOptions::default()).await.unwrap();
            assert_eq!(store.get("key").await.unwrap().unwrap(), value, "we read what {program} writes");
            spoken += 1;
        }
    }
    assert!(spoken >= 4, "gzip is on every machine");
}

#[test]
fn a_format_without_marks_takes_gzip_alone() {
    let options = pure().algorithm(Algorithm::Zstd);
    let error = Compressed::new(kv_core::MemoryStore::new(), options).unwrap_err();
    assert!(error.to_string().contains("format"), "{error}");
}
