//! A real browser without a window, driven through a pipe in its DevTools protocol.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, not_run};

/// A browser with one page.
pub(crate) struct Chromium {
    child: Child,
    requests: ChildStdin,
    replies: Receiver<Value>,
    next_id: u64,
    session: Option<String>,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Chromium {
    /// The browser that is on the path. Where there is none, this says that the test is not run.
    pub(crate) fn start() -> Option<Self> {
        let Some(browser) = ["chromium", "google-chrome"].into_iter().find_map(on_path) else {
            not_run("no Chromium is on the path; .ci/browser installs it");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // The browser reads requests from descriptor 3 and writes replies to 4; both end with a zero byte.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2"])
            .arg(browser)
            .args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run"])
            // A container's user is often root, whom the browser's sandbox refuses; the pages are our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage"])
            // Nothing of the browser's own goes to the network.
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg("--disable-quic")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // A browser that is killed leaves the folder of its socket.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let replies = replies(BufReader::new(child.stdout.take().unwrap()));
        let (next_id, session, events) = (0, None, Vec::new());
        let mut browser = Self { child, requests, replies, next_id, session, events, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Opens a file in a window of this size and waits until it is there. What happened before is forgotten.
    pub(crate) fn open(&mut self, file: &Path, width: u32, height: u32) -> String {
        let url = address_of(file);
        self.visit(&url, width, height);
        url
    }

    /// Opens an address, as [`Self::open`] opens a file.
    pub(crate) fn visit(&mut self, url: &str, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        self.events.clear();
        let reply = self.call("Page.navigate", &json!({ "url": url }));
        assert_eq!(reply.get("errorText"), None, "{url}");
        while self.events_of("Page.loadEventFired").is_empty() {
            let event = self.receive();
            self.events.push(event);
        }
    }

    /// Lets pages read and write the clipboard, as a browser does that is in use.
    pub(crate) fn allow_clipboard(&mut self) {
        let permissions = json!(["clipboardReadWrite", "clipboardSanitizedWrite"]);
        self.call("Browser.grantPermissions", &json!({ "permissions": permissions }));
        self.call("Emulation.setFocusEmulationEnabled", &json!({"enabled": true}));
    }

    /// Makes the page believe that its reader likes it `light` or `dark`.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Shows the page as it is printed.
    pub(crate) fn print(&mut self) {
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let expression = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let reply = self.call("Runtime.evaluate", &expression);
        assert_eq!(reply.get("exceptionDetails"), None, "{expression}");
        reply["result"]["value"].clone()
    }

    /// What was heard of this kind of event since the page was opened.
    pub(crate) fn events_of(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).map(|event| &event["params"]).collect()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next_id += 1;
        let mut request = json!({"id": self.next_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        write!(self.requests, "{request}\0").unwrap();
        loop {
            let message = self.receive();
            if message["id"] == self.next_id {
                assert_eq!(message.get("error"), None, "{method} {params}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn receive(&mut self) -> Value {
        self.replies.recv_timeout(PATIENCE).expect("the browser does not answer")
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of a file, whatever is in its path.
pub(crate) fn address_of(file: &Path) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let escaped = file.as_os_str().as_bytes().iter().map(|&byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    format!("file://{}", escaped.collect::<String>())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Reads in a thread of its own, so that a browser that hangs is noticed.
fn replies(mut from: impl BufRead + Send + 'static) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        loop {
            let mut message = Vec::new();
            match from.read_until(0, &mut message) {
                Ok(read) if read > 0 => message.truncate(read - 1),
                _ => return,
            }
            let Ok(message) = serde_json::from_slice(&message) else { return };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}
