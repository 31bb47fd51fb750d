use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

/// A TCP proxy before a server, whose connections fall silent when told to, and which counts them.
pub(crate) struct Proxy {
    port: u16,
    /// The newest connection that must fall silent.
    silenced: watch::Sender<u32>,
    accepted: Arc<AtomicU32>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            silenced: watch::Sender::new(0),
            accepted: Arc::default(),
        };
        let (silenced, accepted) = (proxy.silenced.clone(), proxy.accepted.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(copy(from_client, to_server, number, silenced.subscribe()));
                tokio::spawn(copy(from_server, to_client, number, silenced.subscribe()));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections there have been.
    pub(crate) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Lets every connection there is stay open and carry nothing more: a half-open socket. New ones work.
    pub(crate) fn silence(&self) {
        self.silenced.send_replace(self.accepted());
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, number: u32, mut silenced: watch::Receiver<u32>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        tokio::select! {
            biased;
            () = async { drop(silenced.wait_for(|newest| *newest >= number).await) } => std::future::pending().await,
            read = from.read(&mut buffer) => match read {
                Ok(1..) if to.write_all(&buffer[..read.unwrap_or(0)]).await.is_ok() => {}
                _ => return,
            },
        }
    }
}
