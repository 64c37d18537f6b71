//! Upload of files to a repository of a hub as one commit: small files in the commit itself, large files before it with
//! the git-lfs protocol.
//!
//! | request | what |
//! |---|---|
//! | `POST /api/repos/create` | the repository, if there is none yet |
//! | `POST /api/models/ID/preupload/REVISION` | which files are large |
//! | `POST /ID.git/info/lfs/objects/batch` | where the large ones go, those that the hub lacks |
//! | `PUT ...` | their bytes, whole or in chunks |
//! | `POST /api/models/ID/commit/REVISION` | all of it at once |

use super::address::{Address, printable};

use super::cache::hash_of;
use super::error::FetchError;
use super::http::{Client, Failed, failed};
use super::hub::Hub;
use super::limits::Limits;
use super::pace::read_short;
use super::progress::{Event, Meter};
use super::retry::{Tries, unwelcome};
use super::source::HubId;
use base64::engine::{Engine, general_purpose::STANDARD};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{is_plain_name, plain, unmarked};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::header;

/// Limit on the size of an answer in bytes.
const LONGEST_ANSWER: u64 = 4 << 20;

/// Number of bytes at the start of a file that a hub examines.
const SAMPLE: u64 = 512;

/// Limit on the size in bytes of a file in the commit itself.
const INLINE: u64 = 10 << 20;

/// Time limit of a hub for a commit.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

pub(super) const LFS_JSON: &str = "application/vnd.git-lfs+json";

/// Description of an upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Repository and branch.
    pub id: HubId,
    /// Whether the repository is private, if it is created.
    pub private: bool,
    /// Message of the commit.
    pub message: String,
    /// Paths of the files. Their names are kept.
    pub files: Vec<PathBuf>,
}

/// Result of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Address of the repository.
    pub address: String,
    /// Commit.
    pub commit: String,
}

/// File to upload.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) large: bool,
}

/// Uploads files to a repository of a hub, which is created if it does not exist. Large files that the hub already has
/// are not sent. `tell` receives the number of bytes sent.
///
/// # Errors
/// If a file cannot be read, there is no token, or the hub refuses or cannot be reached. Nothing is committed then.
pub fn upload(
    hub: &Hub,
    limits: &Limits,
    upload: &Upload,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Uploaded, FetchError> {
    let Some(token) = hub.token() else {
        return Err(FetchError::Denied {
            address: hub.endpoint.to_string(),
            status: 401,
            remedy: match hub.token {
                Some(_) => {
                    "the token in HF_TOKEN is not sent over http; set HF_ENDPOINT to an https address".into()
                }
                None => "set HF_TOKEN to a token that may write to the repository".into(),
            },
        });
    };
    let client = Client::new(limits, Some(token));
    let meter = Meter::new(tell);
    let hubs = Talk {
        client: &client,
        hub,
        id: &upload.id,
        meter: &meter,
    };
    let mut items = Vec::new();
    for path in &upload.files {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !is_plain_name(name) {
            let reason = "its name is not a plain one (letters, digits, `.`, `-`, `_`, `+`)".to_string();
            return Err(CheckpointError::Refused {
                path: path.clone(),
                reason,
            }
            .into());
        }
        let (bytes, sha256) = hash_of(path)?;
        items.push(Item {
            name: name.to_string(),
            path: path.clone(),
            bytes,
            sha256,
            large: false,
        });
    }
    hubs.create(upload.private)?;
    hubs.sort(&mut items)?;
    hubs.send_large(&items)?;
    hubs.commit(&items, &upload.message)
}

/// Connection to a hub, for one repository.
pub(super) struct Talk<'a> {
    pub(super) client: &'a Client,
    pub(super) hub: &'a Hub,
    pub(super) id: &'a HubId,
    pub(super) meter: &'a Meter<'a>,
}

impl Talk<'_> {
    fn api(&self, what: &str) -> Address {
        let revision = self.id.revision.replace('/', "%2F");
        self.hub
            .endpoint
            .file(&format!("api/models/{}/{what}/{revision}", self.id.repo))
    }

    /// Creates the repository. An existing one is no error.
    fn create(&self, private: bool) -> Result<(), FetchError> {
        let (owner, name) = self.id.repo.split_once('/').unwrap_or_default();
        let address = self.hub.endpoint.file("api/repos/create");
        let what = json!({"type": "model", "organization": owner, "name": name, "private": private});
        let (status, answer) = self.post(&address, &what.to_string(), "application/json")?;
        match status {
            409 => Ok(()),
            status => check(&address, status, &answer),
        }
    }

    /// Asks the hub which files are large.
    fn sort(&self, items: &mut [Item]) -> Result<(), FetchError> {
        let address = self.api("preupload");
        let mut files = Vec::new();
        for item in items.iter() {
            let (file, _) = plain::open(&item.path).map_err(CheckpointError::io("open", &item.path))?;
            let mut sample = Vec::new();
            file.take(SAMPLE)
                .read_to_end(&mut sample)
                .map_err(CheckpointError::io("read", &item.path))?;
            files.push(json!({"path": item.name, "size": item.bytes, "sample": STANDARD.encode(&sample)}));
        }
        let answer = self.told(&address, &json!({ "files": files }), "application/json")?;
        let modes: BTreeMap<&str, &str> = answer["files"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|file| Some((file["path"].as_str()?, file["uploadMode"].as_str()?)))
            .collect();
        for item in items {
            // Without an answer for a file, its size decides. An empty file is never large.
            let said = modes.get(item.name.as_str()).map(|&mode| mode == "lfs");
            item.large = item.bytes > 0 && said.unwrap_or(item.bytes > INLINE);
            if !item.large && item.bytes > INLINE {
                let reason = format!(
                    "the hub wants {} in the commit itself, where the limit is {INLINE} bytes",
                    item.name
                );
                return Err(FetchError::refused(address, reason));
            }
        }
        Ok(())
    }

    fn commit(&self, items: &[Item], message: &str) -> Result<Uploaded, FetchError> {
        let header = json!({"key": "header", "value": {"summary": message, "description": ""}});
        let mut lines = format!("{header}\n");
        for item in items {
            let line = if item.large {
                let value =
                    json!({"path": item.name, "algo": "sha256", "oid": item.sha256, "size": item.bytes});
                json!({"key": "lfsFile", "value": value})
            } else {
                let bytes =
                    plain::read(&item.path, INLINE).map_err(CheckpointError::io("read", &item.path))?;
                let value =
                    json!({"path": item.name, "content": STANDARD.encode(&bytes), "encoding": "base64"});
                json!({"key": "file", "value": value})
            };
            lines.push_str(&format!("{line}\n"));
        }
        let address = self.api("commit");
        let (status, answer) = self.post(&address, &lines, "application/x-ndjson")?;
        check(&address, status, &answer)?;
        let commit = answer["commitOid"].as_str().map(printable);
        Ok(Uploaded {
            address: self.hub.endpoint.file(&self.id.repo).to_string(),
            commit: commit.ok_or_else(|| FetchError::refused(&address, "its answer names no commit"))?,
        })
    }

    /// Posts JSON. Returns the JSON of a successful answer.
    pub(super) fn told(&self, address: &Address, value: &Value, kind: &str) -> Result<Value, FetchError> {
        let (status, answer) = self.post(address, &value.to_string(), kind)?;
        check(address, status, &answer)?;
        Ok(answer)
    }

    /// Posts a text, with the token if the origin matches. A redirect is not followed. A busy server is tried again. A
    /// cut connection is not: the server may have processed the request.
    fn post(&self, address: &Address, text: &str, kind: &str) -> Result<(u16, Value), FetchError> {
        let mut tries = Tries::new(self.client.limits(), address, self.meter);
        loop {
            let mut request = self
                .client
                .agent(address)
                .post(address.whole())
                .header(header::CONTENT_TYPE, kind)
                .header(
                    header::ACCEPT,
                    if kind == LFS_JSON {
                        kind
                    } else {
                        "application/json"
                    },
                );
            if let Some(bearer) = self.client.bearer(address) {
                request = request.header(header::AUTHORIZATION, bearer);
            }
            let request = request.config().timeout_recv_response(Some(PATIENCE)).build();
            let response = request.send(text).map_err(|error| match failed(address, error) {
                Failed::For(error) => error,
                Failed::Again(reason) => FetchError::Network {
                    address: address.to_string(),
                    reason,
                    tries: 1,
                },
            })?;
            let status = response.status().as_u16();
            let mut text = Vec::new();
            // An unreadable body gives no JSON; the status then decides.
            let body = response.into_body().into_reader();
            let _ = read_short(body, LONGEST_ANSWER, self.client.limits(), &mut text);
            if matches!(status, 429 | 503) {
                tries.again(format!("the server answers with status {status}"), None)?;
                continue;
            }
            return Ok((
                status,
                serde_json::from_slice(unmarked(&text)).unwrap_or_default(),
            ));
        }
    }
}

/// Error for a status that is not a success, with the message of the hub if it has one.
fn check(address: &Address, status: u16, answer: &Value) -> Result<(), FetchError> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    let said = answer["error"]
        .as_str()
        .or(answer["message"].as_str())
        .map(printable);
    match (status, said) {
        (401 | 403, said) => Err(FetchError::Denied {
            address: address.to_string(),
            status,
            remedy: format!(
                "set HF_TOKEN to a token that may write to the repository{}",
                said.map(|said| format!(" (the hub says: {said})"))
                    .unwrap_or_default()
            ),
        }),
        (status, Some(said)) => Err(FetchError::refused(
            address,
            format!("the hub answers with status {status}: {said}"),
        )),
        (status, None) => Err(unwelcome(address, status, true)),
    }
}
