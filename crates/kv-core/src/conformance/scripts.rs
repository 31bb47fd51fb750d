use super::{
    Failure, Room,
    check::{fails, for_a_minute, refused, same, soon},
    concurrency::at_once,
};
use crate::{Arg, Error, ErrorKind, Executed, KvStoreExt, Reply, Result as Answer, Script, Ttl, TwinContext};
use std::time::Duration;

static ECHO: Script = Script::new("conformance/echo", "return {KEYS[1], ARGV[1], ARGV[2]}", |_, keys, args| {
    let (&[key], &[text, number]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let bytes = |arg: Arg<'_>| Reply::Bytes(arg.to_bytes().into_owned().into());
    Ok(Reply::Array(vec![Reply::Bytes(key.to_owned().into()), bytes(text), bytes(number)]))
});

static SHAPES: Script =
    Script::new("conformance/shapes", r#"return {false, -7, "", {1, {"deep"}}, {}}"#, |_, _, _| Ok(shapes()));

static NOTHING: Script = Script::new("conformance/nothing", "return nil", |_, _, _| Ok(Reply::Nil));

static REPLACE: Script = Script::new(
    "conformance/replace",
    r#"
    local old = redis.call("GET", KEYS[1])
    redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
    redis.call("DEL", KEYS[2])
    return old
    "#,
    replace,
);

fn replace(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Answer<Reply> {
    let (&[key, gone], &[new, ttl]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let old = store.get(key)?;
    store.set(key, new.to_bytes().into_owned(), Some(ttl.to_int()?));
    store.delete(gone);
    Ok(old.map_or(Reply::Nil, Reply::Bytes))
}

static ADD: Script = Script::new(
    "conformance/add",
    r#"
    local sum = tonumber(redis.call("GET", KEYS[1]) or "0") + 1
    redis.call("SET", KEYS[1], sum, "PX", 60000)
    return sum
    "#,
    |store, keys, _| {
        let &[key] = keys else { return Err(Error::wrong_arity()) };
        let sum = store.integer(key)?.unwrap_or(0) + 1;
        store.set(key, sum.to_string(), Some(60_000));
        Ok(Reply::Int(sum))
    },
);

static WRITE_AND_FAIL: Script = Script::new(
    "conformance/write-and-fail",
    r#"redis.call("SET", KEYS[1], "written", "PX", 60000); return redis.call("INCR", KEYS[2])"#,
    |store, keys, _| {
        let &[written, counter] = keys else { return Err(Error::wrong_arity()) };
        store.set(written, "written", Some(60_000));
        store.incr_by(counter, 1).map(Reply::Int)
    },
);

static TELL: Script =
    Script::new("conformance/tell", r#"redis.call("PUBLISH", ARGV[1], ARGV[2])"#, |store, _, args| {
        let &[channel, payload] = args else { return Err(Error::wrong_arity()) };
        let channel = channel.to_bytes();
        let channel = std::str::from_utf8(&channel).map_err(|_| Error::wrong_arity())?;
        store.publish(channel, payload.to_bytes().into_owned());
        Ok(Reply::Nil)
    });

fn shapes() -> Reply {
    let deep = Reply::Array(vec![Reply::Bytes("deep".into())]);
    let table = Reply::Array(vec![Reply::Int(1), deep]);
    Reply::Array(vec![Reply::Nil, Reply::Int(-7), Reply::Bytes("".into()), table, Reply::Array(Vec::new())])
}

/// Arguments arrive byte for byte, integers as decimal text.
pub async fn scripts_take_binary_arguments(room: &Room) -> Result<(), Failure> {
    let (key, long) = (room.key("echo"), room.long_value());
    for text in [&b"plain"[..], b"", b"\x00\xff\r\n$5\r\n", &long] {
        for number in [0, -1, i64::MIN, i64::MAX] {
            let reply = room.scripts()?.run(&ECHO, &[&key], &[text.into(), number.into()]).await?.into_array("echo")?;
            let expected = [text, number.to_string().as_bytes()].map(|bytes| Reply::Bytes(bytes.to_vec().into()));
            same!("what a script hears", reply.get(1..), Some(&expected[..]));
        }
    }
    Ok(())
}

/// Nil, integers, strings and tables in tables are told apart.
pub async fn scripts_reply_in_every_shape(room: &Room) -> Result<(), Failure> {
    let key = room.key("shapes");
    same!("reply of a script", room.scripts()?.run(&SHAPES, &[&key], &[]).await?, shapes());
    same!("reply of a script without one", room.scripts()?.run(&NOTHING, &[&key], &[]).await?, Reply::Nil);
    Ok(())
}

/// A script and the methods of the store see each other's writes and TTLs.
pub async fn scripts_read_and_write_what_the_store_does(room: &Room) -> Result<(), Failure> {
    let (store, key, gone) = (room.store(), room.key("value"), room.key("gone"));
    store.mset(&[(&key, b"old"), (&gone, b"1")], None).await?;
    let run = async |value: &'static str| {
        let args: [Arg<'_>; 2] = [value.into(), 60_000.into()];
        Ok::<_, Failure>(room.scripts()?.run(&REPLACE, &[&key, &gone], &args).await?)
    };
    same!("what a script reads", run("new").await?, Reply::Bytes("old".into()));
    room.holds(&key, Some(b"new")).await?;
    room.holds(&gone, None).await?;
    let ttl = store.ttl(&key).await?;
    let minute = Duration::from_secs(60);
    super::check::ensure!(matches!(ttl, Ttl::Remaining(left) if left <= minute), "ttl after a script: {ttl:?}");
    store.delete(&[&key]).await?;
    same!("what a script reads of an absent key", run("again").await?, Reply::Nil);
    Ok(())
}

/// Nobody comes between the steps of a script.
pub async fn scripts_are_atomic(room: &Room) -> Result<(), Failure> {
    let key = room.key("sum");
    let mut sums = at_once(room, 50, |store| {
        let key = key.clone();
        async move { store.require_scripts("add")?.run(&ADD, &[&key], &[]).await?.into_int("add") }
    })
    .await?;
    sums.sort_unstable();
    same!("sums of fifty scripts", sums, (1..=50).collect::<Vec<_>>());
    Ok(())
}

/// What a script wrote before it failed stays, and the error does not deny it.
pub async fn a_failed_script_may_have_run(room: &Room) -> Result<(), Failure> {
    let (written, text) = (room.key("written"), room.key("text"));
    room.store().set(&text, b"text", for_a_minute()).await?;
    let answer = room.scripts()?.run(&WRITE_AND_FAIL, &[&written, &text], &[]).await;
    let error = fails("a script that counts a text", answer, ErrorKind::WrongType)?;
    same!("executed of a failed script", error.executed(), Executed::Maybe);
    same!("operation of a failed script", error.operation(), "conformance/write-and-fail");
    room.holds(&written, Some(b"written")).await
}

/// An empty key is refused before anything runs.
pub async fn scripts_refuse_empty_keys(room: &Room) -> Result<(), Failure> {
    let key = room.key("value");
    let answer = room.scripts()?.run(&REPLACE, &[&key, ""], &["new".into(), 60_000.into()]).await;
    refused("a script with an empty key", answer, ErrorKind::InvalidInput)?;
    room.holds(&key, None).await
}

/// A message of a script reaches those who subscribe, under [`channel_name`](crate::PubSub::channel_name).
pub async fn scripts_publish(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    let mut subscription = pubsub.subscribe(&[&channel]).await?;
    let named = pubsub.channel_name(&channel).into_owned();
    room.scripts()?.run(&TELL, &[&room.key("slot")], &[named.as_str().into(), b"\x00told"[..].into()]).await?;
    let message = soon("a message of a script", subscription.next_message()).await?;
    let heard = message.as_ref().map(|message| (&*message.channel, &*message.payload));
    same!("message of a script", heard, Some((channel.as_str(), &b"\x00told"[..])));
    Ok(())
}

/// Lua that is no [`Script`] runs with its keys and arguments; what is no Lua is rejected.
pub async fn eval_runs_lua(room: &Room) -> Result<(), Failure> {
    let (key, scripts) = (room.key("value"), room.scripts()?);
    let lua = r#"redis.call("SET", KEYS[1], ARGV[1], "PX", 60000); return ARGV[2] + 1"#;
    same!("reply of eval", scripts.eval(lua, &[&key], &["\0text".into(), 2.into()]).await?, Reply::Int(3));
    room.holds(&key, Some(b"\0text")).await?;
    fails("eval of what is no lua", scripts.eval("not lua", &[&key], &[]).await, ErrorKind::Rejected)?;
    refused("eval with an empty key", scripts.eval("return 1", &[""], &[]).await, ErrorKind::InvalidInput)
}

/// A store that runs scripts by their twins says of Lua that it has none.
pub async fn eval_without_lua_is_unsupported(room: &Room) -> Result<(), Failure> {
    let key = room.key("value");
    let answer = room.scripts()?.eval("return 1", &[&key], &[]).await;
    refused("eval", answer, ErrorKind::Unsupported)
}
