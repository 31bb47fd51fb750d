//! Real Redis servers for tests and tasks: where the binary comes from, and processes that never outlive their owner.
//!
//! ```no_run
//! let server = xtask::fixture::Server::start()?;
//! println!("{}", server.url());
//! # anyhow::Ok(())
//! ```

pub mod binary;
pub mod fixture;
pub mod resp;
pub mod workspace;
