//! The smallest Redis client: an array of bulk strings out, one RESP2 reply in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Status(String),
    /// `-ERR …`, without the dash.
    Error(String),
    /// `:1`
    Integer(i64),
    /// A string of bytes, or nil.
    Bulk(Option<Vec<u8>>),
    /// An array; a nil array is empty.
    Array(Vec<Reply>),
}

impl Reply {
    /// The text of a status or of a bulk string that is UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Bulk(Some(bytes)) => std::str::from_utf8(bytes).ok(),
            Self::Error(_) | Self::Integer(_) | Self::Bulk(None) | Self::Array(_) => None,
        }
    }
}

/// One connection to a server on this machine.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects to a loopback port; `timeout` then bounds every read and write.
    pub fn open(port: u16, timeout: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends one command and reads its reply. An error reply is a [`Reply::Error`], not an `Err`.
    pub fn call(&mut self, command: &[&str]) -> Result<Reply> {
        let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        self.call_bytes(&words)
    }

    /// Like [`Connection::call`], for arguments that need not be text.
    pub fn call_bytes(&mut self, command: &[&[u8]]) -> Result<Reply> {
        let mut request = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            request.extend_from_slice(argument);
            request.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&request)?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").context("connection closed by the server")?;
        let (kind, rest) = line.split_at_checked(1).context("empty reply")?;
        Ok(match kind {
            "+" => Reply::Status(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse()?),
            "$" if rest == "-1" => Reply::Bulk(None),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(Some(bytes))
            }
            "*" if rest == "-1" => Reply::Array(Vec::new()),
            "*" => Reply::Array((0..rest.parse::<usize>()?).map(|_| self.reply()).collect::<Result<_>>()?),
            _ => bail!("not a reply: {line:?}"),
        })
    }
}
