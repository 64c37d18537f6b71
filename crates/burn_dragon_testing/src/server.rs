//! HTTP server on this machine, for tests: it gives out files as a good server does, or does what a test tells it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// The number of this request, from 0.
    pub number: usize,
}

impl Request {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers, as they are sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// `Content-Length`, where it is not the length of the body; `Some(None)` leaves it out.
    pub declared: Option<Option<u64>>,
    /// Cut the connection after so many bytes of the body.
    pub cut: Option<usize>,
    /// The body again and again, without an end.
    pub endless: bool,
    /// A pause after the head and after each so many bytes of the body.
    pub slow: Option<(Duration, usize)>,
}

impl Reply {
    /// A reply of this status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            declared: None,
            cut: None,
            endless: false,
            slow: None,
        }
    }

    /// A redirect (302).
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::new(302, "").with("Location", to)
    }

    /// The reply with a header, in the place of one of the same name.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_string(), value.into()));
        self
    }
}

/// Files with their ETags, given out whole, in ranges, or not at all where they are known.
#[derive(Clone, Debug, Default)]
pub struct Files(Arc<Mutex<BTreeMap<String, Given>>>);

/// Bytes, and the ETag that stands for them.
type Given = (Vec<u8>, String);

impl Files {
    /// A file at a path, with an ETag of its own.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let etag = format!("\"{}\"", NEXT.fetch_add(1, Ordering::Relaxed));
        self.0
            .lock()
            .unwrap()
            .insert(path.to_string(), (bytes.into(), etag));
    }

    /// Takes a file away.
    pub fn remove(&self, path: &str) {
        self.0.lock().unwrap().remove(path);
    }

    /// What a good server answers.
    pub fn reply(&self, request: &Request) -> Reply {
        let files = self.0.lock().unwrap();
        let Some((bytes, etag)) = files.get(&request.path) else {
            return Reply::new(404, "not found");
        };
        let whole = |reply: Reply| reply.with("ETag", etag).with("Accept-Ranges", "bytes");
        if request.header("if-none-match") == Some(etag) {
            return whole(Reply::new(304, ""));
        }
        let same = request.header("if-range").is_none_or(|known| known == etag);
        let range = request
            .header("range")
            .filter(|_| same)
            .and_then(|range| range.strip_prefix("bytes="));
        let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
            return whole(Reply::new(200, bytes.clone()));
        };
        let first: usize = first.parse().unwrap();
        let last = if last.is_empty() {
            bytes.len() - 1
        } else {
            last.parse().unwrap()
        };
        if first >= bytes.len() {
            return whole(Reply::new(416, "")).with("Content-Range", format!("bytes */{}", bytes.len()));
        }
        let last = last.min(bytes.len() - 1);
        whole(Reply::new(206, &bytes[first..=last]))
            .with("Content-Range", format!("bytes {first}-{last}/{}", bytes.len()))
    }
}

/// A server that answers until it is dropped.
pub struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// A server that gives out files.
    pub fn of(files: &Files) -> Self {
        let files = files.clone();
        Self::start(move |request| files.reply(request))
    }

    /// A server that answers as it is told.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            sent: Arc::default(),
            stop: Arc::default(),
        };
        let (asked, sent, stop) = (server.asked.clone(), server.sent.clone(), server.stop.clone());
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, asked) = (answer.clone(), asked.clone());
                let (sent, stop) = (sent.clone(), stop.clone());
                thread::spawn(move || {
                    let Some(mut request) = read(&stream) else {
                        return;
                    };
                    {
                        let mut asked = asked.lock().unwrap();
                        request.number = asked.len();
                        asked.push(request.clone());
                    }
                    let reply = answer(&request);
                    // A client that leaves is what some tests are about.
                    let _ = write(&stream, &reply, &request, &sent, &stop);
                });
            }
        });
        server
    }

    /// The address of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// Methods and paths of what was asked so far.
    pub fn lines(&self) -> Vec<String> {
        self.asked()
            .iter()
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|request| request.path == path).count()
    }

    /// Bytes of bodies that were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes the listener
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_string(),
        path: words.next()?.to_string(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        request
            .headers
            .insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write(
    mut stream: &TcpStream,
    reply: &Reply,
    request: &Request,
    sent: &AtomicU64,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", reply.status);
    let declared = reply
        .declared
        .unwrap_or((!reply.endless).then_some(reply.body.len() as u64));
    if let Some(length) = declared {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method == "HEAD" || reply.status == 304 {
        return Ok(());
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())];
    loop {
        let size = reply.slow.map_or(1 << 16, |(_, size)| size);
        for chunk in body.chunks(size) {
            if let Some((pause, _)) = reply.slow {
                thread::sleep(pause);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            stream.write_all(chunk)?;
            sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        if !reply.endless {
            return Ok(());
        }
    }
}
