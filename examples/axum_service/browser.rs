//! The page in a real browser, driven as the W3C's `WebDriver` says.

use anyhow::{Context, Result, bail, ensure};
use base64::prelude::{BASE64_STANDARD, Engine};
use examples::http::Connection;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What an element is called in the answers of a driver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Looks at the page, switches the lock off and on, and takes a picture.
pub(crate) async fn check(address: SocketAddr, screenshot: &Path) -> Result<()> {
    let mut browser = Browser::open().await?;
    let looked = browser.look(address, screenshot).await;
    let closed = browser.call("DELETE", "", &Value::Null).await;
    looked.and(closed).map(|_| println!("in a headless browser: as it should be"))
}

struct Browser {
    driver: Connection,
    session: String,
    /// It ends with this process.
    _child: Child,
}

impl Browser {
    async fn open() -> Result<Self> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().context("no chromedriver: it comes with Chromium")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let port = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, port)) = line.trim_end_matches('.').split_once("successfully on port ") {
                    return Ok(port.parse::<u16>()?);
                }
            }
            bail!("chromedriver does not start")
        });
        let driver = Connection::open(([127, 0, 0, 1], port.await??).into()).await?;
        // The sandbox has no use for the one page, and does not start as root.
        let quiet =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"];
        let args: Vec<_> = quiet.into_iter().chain(["--no-first-run", "--window-size=1000,600"]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let mut browser = Self { driver, session: String::new(), _child: child };
        let session = browser.call("POST", "", &wanted).await?;
        browser.session = format!("/{}", session["sessionId"].as_str().context("no session")?);
        Ok(browser)
    }

    async fn look(&mut self, address: SocketAddr, screenshot: &Path) -> Result<()> {
        self.call("POST", "/url", &json!({"url": format!("http://{address}/")})).await?;
        self.until("the page is live", "return document.querySelector('#state').textContent === 'live'").await?;
        self.until("numbers move", "return shown.hits.values.filter(value => value > 0).length > 5").await?;
        self.until("all guards are on", "return document.querySelectorAll('[aria-pressed=true]').length === 3").await?;
        self.until("nobody overlaps", "return shown.overlaps.values.every(value => value === 0)").await?;
        self.click("#guard-lock").await?;
        self.until("the lock is off", "return document.querySelector('#guard-lock').ariaPressed === 'false'").await?;
        self.until("workers overlap", "return shown.overlaps.values.filter(value => value > 0).length > 3").await?;
        self.click("#guard-lock").await?;
        self.until("the lock is on", "return document.querySelector('#guard-lock').ariaPressed === 'true'").await?;
        self.click("#guard-cache").await?;
        self.until("each read is a load", "return shown.loads.values.slice(-4).every(value => value > 100)").await?;
        self.click("#guard-cache").await?;
        self.until("loads are few again", "return shown.loads.values.slice(-8).every(value => value < 150)").await?;
        self.click("#guard-limit").await?;
        self.until("nobody is denied", "return shown.denials.values.slice(-3).every(value => value === 0)").await?;
        self.click("#guard-limit").await?;
        self.until("the scraper is denied", "return shown.denials.values.slice(-3).every(value => value > 0)").await?;
        let picture = self.call("GET", "/screenshot", &Value::Null).await?;
        let picture = BASE64_STANDARD.decode(picture.as_str().context("no picture")?)?;
        ensure!(picture.starts_with(b"\x89PNG"), "no picture");
        std::fs::write(screenshot, picture).with_context(|| format!("cannot write {}", screenshot.display()))
    }

    async fn click(&mut self, selector: &str) -> Result<()> {
        let found = self.call("POST", "/element", &json!({"using": "css selector", "value": selector})).await?;
        let element = found[ELEMENT].as_str().context("no element")?.to_owned();
        self.call("POST", &format!("/element/{element}/click"), &json!({})).await?;
        Ok(())
    }

    /// Asks the page until it says yes.
    async fn until(&mut self, what: &str, script: &str) -> Result<()> {
        let began = Instant::now();
        while self.call("POST", "/execute/sync", &json!({"script": script, "args": []})).await? != json!(true) {
            ensure!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/session{}{path}", self.session);
        let answer = timeout(PATIENCE, self.driver.send(method, &path, &body)).await??;
        let mut answer: Value = serde_json::from_str(&answer.body)?;
        ensure!(answer["value"]["error"].is_null(), "{method} {path}: {}", answer["value"]["message"]);
        Ok(answer["value"].take())
    }
}
