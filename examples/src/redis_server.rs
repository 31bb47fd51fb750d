//! A Redis that a chapter may kill.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A `redis-server` of one's own on a loopback port, in a directory that goes with it.
///
/// It is started with the options a chapter shows and `--save ""` before them, so that nothing is persisted unasked.
#[derive(Debug)]
pub struct RedisServer {
    process: Child,
    options: Vec<String>,
    port: u16,
    dir: PathBuf,
}

impl RedisServer {
    /// Starts the server that `REDIS_SERVER_BIN` names, or `redis-server`, and returns when it takes connections.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("guide-redis-{}-{port}", std::process::id()));
        fs::create_dir(&dir)?;
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let process = spawn(port, &dir, &options)?;
        let mut server = Self { process, options, port, dir };
        server.wait()?;
        Ok(server)
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `kill -9`: the process has no time to save anything.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// SIGSTOP: connections stay open and nothing answers, as when a machine swaps or a virtual one is moved.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// SIGCONT: it goes on with what has arrived meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill {signal}: {status}"))) }
    }

    /// Starts it again, on the same port and with what it left in its directory; returns when it takes connections.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        self.process = spawn(self.port, &self.dir, &self.options)?;
        self.wait()
    }

    /// It listens before it has loaded its data: a client that asks meanwhile is told `LOADING`.
    fn wait(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("redis-server ends by itself: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn spawn(port: u16, dir: &PathBuf, options: &[String]) -> io::Result<Child> {
    let binary = std::env::var("REDIS_SERVER_BIN").unwrap_or_else(|_| "redis-server".into());
    let mut command = Command::new(&binary);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir).args(options);
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    started.map_err(|error| io::Error::new(error.kind(), format!("{binary} does not start: {error}")))
}
