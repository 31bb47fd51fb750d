//! What the command line may say.

use std::path::PathBuf;

xflags::xflags! {
    /// A service on axum behind all guards, with a live page.
    cmd service {
        /// The Redis to run on, such as redis://127.0.0.1:6379; else REDIS_URL, else memory.
        optional --redis url: String
        /// The port to listen on (default any that is free).
        optional --port port: u16
        /// Checks what the service does with each guard on and off, and ends.
        optional --check
        /// Checks the page in a headless Chromium, which chromedriver has to find, leaves a picture in this file, and ends.
        optional --browser file: PathBuf
    }
}

/// The command line with its defaults.
pub(crate) struct Args {
    pub(crate) redis: Option<String>,
    pub(crate) port: u16,
    pub(crate) check: bool,
    pub(crate) browser: Option<PathBuf>,
}

impl Args {
    pub(crate) fn from_env() -> Self {
        let flags = Service::from_env().unwrap_or_else(|error| error.exit());
        let environment = std::env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
        Self {
            redis: flags.redis.or(environment),
            port: flags.port.unwrap_or(0),
            check: flags.check,
            browser: flags.browser,
        }
    }
}
