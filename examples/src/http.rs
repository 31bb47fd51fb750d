//! As much of an HTTP client as the examples need.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// One connection, which stays open.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the fields.
    pub head: String,
    /// The content.
    pub body: String,
}

impl Answer {
    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Gets a page as this client.
    pub async fn get(&mut self, path: &str, client: &str) -> Result<Answer> {
        self.request(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {client}\r\n\r\n")).await
    }

    /// Sends a request with this content, which may be empty.
    pub async fn send(&mut self, method: &str, path: &str, content: &str) -> Result<Answer> {
        let length = content.len();
        self.request(&format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{content}"
        ))
        .await
    }

    /// Sends what is a whole request, and reads the answer, whose length is given.
    async fn request(&mut self, request: &str) -> Result<Answer> {
        let mut answer = self.head(request).await?;
        if answer.status == 204 {
            return Ok(answer);
        }
        let length = answer.field("content-length").context("no length")?.parse()?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        answer.body = String::from_utf8(body)?;
        Ok(answer)
    }

    async fn head(&mut self, request: &str) -> Result<Answer> {
        self.0.get_mut().write_all(request.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                bail!("the server closed the connection");
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        Ok(Answer { status, head, body: String::new() })
    }

    /// The data of the first of the events that a server sends.
    pub async fn first_event(mut self, path: &str) -> Result<String> {
        let answer = self.head(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await?;
        if answer.field("content-type") != Some("text/event-stream") {
            bail!("no events: {}", answer.head);
        }
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).await? == 0 {
                bail!("the events end");
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Ok(data.trim_end().to_owned());
            }
        }
    }
}
