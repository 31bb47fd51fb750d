use crate::backend::{Backend, on_every_backend};
use kv_core::{
    Arg, Error, ErrorKind, Executed, KvStore, KvStoreExt, MemoryStore, Reply, Result, Script, ScriptCall, TwinContext,
};
use std::time::Duration;

on_every_backend!(
    a_script_reads_writes_and_replies,
    a_failing_script_is_a_typed_error,
    a_script_publishes,
    a_script_survives_a_flush,
    many_calls_are_answered_in_order_and_executed_once,
    ad_hoc_lua_runs_where_there_is_lua,
);

/// Keeps the largest number it is given, publishes it, and tells the old one and the time to live.
static KEEP_MAX: Script = Script::new(
    "test/keep-max",
    r#"
    local old = redis.call("GET", KEYS[1])
    if not old or tonumber(ARGV[1]) > tonumber(old) then
      redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
      redis.call("PUBLISH", KEYS[2], ARGV[1])
    end
    return {old, redis.call("EXISTS", KEYS[1]), redis.call("PTTL", KEYS[1]) > 0}
    "#,
    keep_max,
);

fn keep_max(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key, channel], &[new, ttl]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let old = store.integer(key)?;
    if old.is_none_or(|old| new.to_int().is_ok_and(|new| new > old)) {
        store.set(key, new.to_bytes().into_owned(), Some(ttl.to_int()?));
        store.publish(channel, new.to_bytes().into_owned());
    }
    let old = old.map_or(Reply::Nil, |old| Reply::Bytes(old.to_string().into()));
    Ok(Reply::Array(vec![old, Reply::Int(1), Reply::Int(i64::from(store.pttl(key) > 0))]))
}

static WRITE_AND_FAIL: Script = Script::new(
    "test/write-and-fail",
    r#"redis.call("SET", KEYS[1], "written"); return redis.call("INCR", KEYS[2])"#,
    |store, keys, _| {
        store.set(keys[0], "written", None);
        store.incr_by(keys[1], 1).map(Reply::Int)
    },
);

async fn keep(backend: &Backend, value: i64) -> Reply {
    backend.run(&KEEP_MAX, &["{max}", "{max}:news"], &[Arg::Int(value), Arg::Int(60_000)]).await.unwrap()
}

fn told(old: Option<&'static str>) -> Reply {
    let old = old.map_or(Reply::Nil, |old| Reply::Bytes(old.into()));
    Reply::Array(vec![old, Reply::Int(1), Reply::Int(1)])
}

async fn a_script_reads_writes_and_replies(backend: &Backend) {
    assert_eq!(keep(backend, 5).await, told(None));
    assert_eq!(keep(backend, -3).await, told(Some("5")));
    assert_eq!(keep(backend, 7).await, told(Some("5")));
    assert_eq!(backend.store.get("{max}").await.unwrap().unwrap(), "7");
}

async fn a_failing_script_is_a_typed_error(backend: &Backend) {
    let run = async |keys: &[&str]| backend.run(&KEEP_MAX, keys, &[Arg::Int(1), Arg::Int(1000)]).await.unwrap_err();
    backend.put_other_type("{hash}").await;
    let error = run(&["{hash}", "{hash}:news"]).await;
    assert_eq!((error.kind(), error.operation()), (ErrorKind::WrongType, "test/keep-max"), "{error}");
    assert_eq!(run(&["", "news"]).await.kind(), ErrorKind::InvalidInput);

    // What a script wrote before it failed stays, and the error does not deny it.
    let error = backend.run(&WRITE_AND_FAIL, &["{hash}:a", "{hash}"], &[]).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::WrongType, Executed::Maybe), "{error}");
    assert_eq!(backend.store.get("{hash}:a").await.unwrap().unwrap(), "written");
    assert_eq!(told(None).into_int("test").unwrap_err().kind(), ErrorKind::UnexpectedReply);
}

async fn a_script_publishes(backend: &Backend) {
    let mut news = backend.store.pubsub().unwrap().subscribe(&["{max}:news"]).await.unwrap();
    for value in [1, 0, 2] {
        keep(backend, value).await;
    }
    assert_eq!(news.next_message().await.unwrap().payload, "1");
    assert_eq!(news.next_message().await.unwrap().payload, "2");
}

async fn a_script_survives_a_flush(backend: &Backend) {
    keep(backend, 1).await;
    if let Some(server) = &backend.server {
        server.call(&["SCRIPT", "FLUSH"]).unwrap();
    }
    assert_eq!(keep(backend, 2).await, told(Some("1")));
}

static ADD: Script = Script::new("test/add", "return redis.call('INCRBY', KEYS[1], ARGV[1])", |store, keys, args| {
    store.incr_by(keys[0], args[0].to_int()?).map(Reply::Int)
});

async fn many_calls_are_answered_in_order_and_executed_once(backend: &Backend) {
    let scripts = backend.store.require_scripts("test").unwrap();
    assert!(scripts.run_many(&ADD, &[]).await.unwrap().is_empty());
    backend.put_other_type("key7").await;
    let names: Vec<String> = (0..50).map(|at| format!("key{}", at % 25)).collect();
    let keys: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let args: Vec<[Arg<'_>; 1]> = (0..50).map(|at| [Arg::Int(at)]).collect();
    let calls: Vec<ScriptCall<'_>> = keys.iter().zip(&args).map(|(keys, args)| ScriptCall { keys, args }).collect();
    let replies = scripts.run_many(&ADD, &calls).await.unwrap();
    assert_eq!(replies.len(), 50);
    for (at, reply) in replies.into_iter().enumerate() {
        let at = at as i64;
        match at % 25 {
            7 => assert_eq!(reply.unwrap_err().kind(), ErrorKind::WrongType),
            first => assert_eq!(reply.unwrap(), Reply::Int(if at < 25 { at } else { first + at })),
        }
    }
    let refused = scripts.run_many(&ADD, &[calls[0], ScriptCall { keys: &[""], args: &args[1] }]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.executed()), (ErrorKind::InvalidInput, Executed::No));
    assert_eq!(backend.store.get("key0").await.unwrap().unwrap(), "25", "nothing of it was sent");
}

async fn ad_hoc_lua_runs_where_there_is_lua(backend: &Backend) {
    let scripts = backend.store.require_scripts("test").unwrap();
    let reply = scripts.eval("return {KEYS[1], ARGV[1] + ARGV[2]}", &["key"], &[Arg::Int(2), "3".into()]).await;
    if backend.is_memory() {
        let error = reply.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Unsupported, Executed::No));
        return;
    }
    assert_eq!(reply.unwrap(), Reply::Array(vec![Reply::Bytes(backend.name("key").into()), Reply::Int(5)]));
    let error = scripts.eval("not lua", &[], &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[tokio::test]
async fn a_twin_that_panics_leaves_the_store_usable() {
    fn panics(_: &mut TwinContext<'_>, _: &[&str], _: &[Arg<'_>]) -> Result<Reply> {
        panic!("a twin's own fault")
    }
    static PANICS: Script = Script::new("test/panics", "", panics);
    let store = MemoryStore::new();
    store.set_px("key", b"1", Duration::from_secs(1)).await.unwrap();
    let broken = store.clone();
    let task = tokio::spawn(async move { broken.scripts().unwrap().run(&PANICS, &["key"], &[]).await });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(store.get("key").await.unwrap().unwrap(), "1");
}
