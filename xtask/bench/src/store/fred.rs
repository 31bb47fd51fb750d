//! fred, as its README builds it.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use fred::prelude::{Builder, Client, ClientLike, Config, KeysInterface, TcpConfig};

use super::{VALUE, Verb, key};
use crate::load::Operation;

pub(super) struct Fred {
    client: Client,
    verb: Verb,
    key: String,
}

impl Fred {
    /// One for each task, on the same client.
    pub(super) async fn all(url: &str, verb: Verb, tasks: usize) -> Result<Vec<Self>> {
        let client = Builder::from_config(Config::from_url(url)?)
            .with_connection_config(|config| {
                config.connection_timeout = Duration::from_secs(5);
                config.tcp = TcpConfig { nodelay: Some(true), ..Default::default() };
            })
            .build()?;
        client.init().await?;
        Ok((0..tasks).map(|task| Self { client: client.clone(), verb, key: key(task) }).collect())
    }
}

impl Operation for Fred {
    async fn run(&mut self) -> Result<()> {
        match self.verb {
            Verb::Set => Ok(self.client.set(&self.key, &VALUE[..], None, None, false).await?),
            Verb::Get | Verb::Mget => {
                let value: Option<Bytes> = self.client.get(&self.key).await?;
                ensure!(value.is_some_and(|value| value.len() == VALUE.len()), "another value");
                Ok(())
            }
        }
    }
}
