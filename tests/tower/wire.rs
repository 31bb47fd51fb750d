//! Over sockets: two servers of one service on one store, and clients with connections of their own.

use super::{Inner, layer, limiter};
use crate::backend::{Backend, on_every_backend};
use http::Request;
use redis_ratelimit::{
    Quota,
    tower::{LayerOptions, RateLimitService},
};
use std::{
    future::poll_fn,
    io::{Error, ErrorKind, Result},
    net::SocketAddr,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower_layer::Layer;
use tower_service::Service;

on_every_backend!(@one_server servers_enforce_one_limit_together);

async fn servers_enforce_one_limit_together(backend: &Backend) {
    let quota = Quota::per_hour(20);
    let mut servers = JoinSet::new();
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = layer(limiter(&backend.store, quota, "http"), LayerOptions::default()).layer(Inner::default());
        servers.spawn(serve(listener, service));
        for _ in 0..3 {
            clients.spawn(async move { ask(address, 15).await.unwrap() });
        }
    }
    let (mut served, mut refused) = (0, 0);
    while let Some(answers) = clients.join_next().await {
        for head in answers.unwrap() {
            assert!(head.contains("\r\nratelimit-policy: \"default\";q=20;w=3600\r\n"), "{head}");
            assert!(head.contains("\r\nratelimit: \"default\";r="), "{head}");
            match &head[..12] {
                "HTTP/1.1 200" => served += 1,
                "HTTP/1.1 429" => {
                    assert!(head.contains("\r\nretry-after: 180\r\n") || head.contains("\r\nretry-after: 1"), "{head}");
                    refused += 1;
                }
                _ => panic!("{head}"),
            }
        }
    }
    assert_eq!((served, refused), (20, 70));
}

/// As much of HTTP/1.1 as it takes: requests without bodies, on connections that stay.
async fn serve(listener: TcpListener, service: RateLimitService<Inner>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(head) = head(&mut stream).await? {
                let mut lines = head.lines();
                let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or("/");
                let fields = lines.filter_map(|line| line.split_once(": "));
                let request = fields.fold(Request::get(path), |request, (name, value)| request.header(name, value));
                answer(&mut stream, &service, request.extension(peer).body(()).map_err(Error::other)?).await?;
            }
            Result::Ok(())
        });
    }
}

async fn answer(
    stream: &mut BufReader<TcpStream>,
    service: &RateLimitService<Inner>,
    request: Request<()>,
) -> Result<()> {
    let mut service = service.clone();
    poll_fn(|context| Service::<Request<()>>::poll_ready(&mut service, context)).await.map_err(|_| ErrorKind::Other)?;
    let response = service.call(request).await.map_err(|_| ErrorKind::Other)?;
    let mut text = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", response.status(), response.body().len());
    for (name, value) in response.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().map_err(Error::other)?));
    }
    text.push_str("\r\n");
    text.push_str(response.body());
    stream.get_mut().write_all(text.as_bytes()).await
}

/// The heads of so many answers, one after the other.
async fn ask(address: SocketAddr, times: usize) -> Result<Vec<String>> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut heads = Vec::new();
    for _ in 0..times {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\nclient: ada\r\n\r\n").await?;
        let head = head(&mut stream).await?.ok_or(ErrorKind::UnexpectedEof)?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        stream.read_exact(&mut vec![0; length.ok_or(ErrorKind::InvalidData)?]).await?;
        heads.push(head);
    }
    Ok(heads)
}

/// Everything to the empty line; none at the end of the connection.
async fn head(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}
