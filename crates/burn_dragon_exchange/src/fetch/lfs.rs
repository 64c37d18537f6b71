//! Upload of large files to a hub with the git-lfs protocol, whole or in chunks.

use super::address::{Address, printable};
use super::error::FetchError;
use super::http::{Failed, allowed, failed};
use super::retry::{Tries, is_passing, unwelcome};
use super::upload::{Item, LFS_JSON, PATIENCE, Talk};
use burn_dragon_checkpoint::api::CheckpointError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use ureq::SendBody;
use ureq::http::header::{self, HeaderName, HeaderValue};

impl Talk<'_> {
    /// Uploads the large files that the hub does not have yet.
    pub(super) fn send_large(&self, items: &[Item]) -> Result<(), FetchError> {
        let mut large: Vec<&Item> = items.iter().filter(|item| item.large).collect();
        large.sort_by_key(|item| &item.sha256);
        large.dedup_by_key(|item| &item.sha256);
        if large.is_empty() {
            return Ok(());
        }
        self.meter.expect(large.iter().map(|item| item.bytes).sum());
        let address = self
            .hub
            .endpoint
            .file(&format!("{}.git/info/lfs/objects/batch", self.id.repo));
        let objects: Vec<Value> = large
            .iter()
            .map(|item| json!({"oid": item.sha256, "size": item.bytes}))
            .collect();
        let batch = json!({
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": objects,
            "hash_algo": "sha256",
            "ref": {"name": self.id.revision},
        });
        let answer = self.told(&address, &batch, LFS_JSON)?;
        for item in large {
            let objects = answer["objects"].as_array().into_iter().flatten();
            let object = objects
                .into_iter()
                .find(|object| object["oid"] == item.sha256.as_str());
            let object = object.ok_or_else(|| {
                FetchError::refused(&address, format!("its answer has no entry for {}", item.name))
            })?;
            if let Some(message) = object["error"]["message"].as_str() {
                let reason = format!("the hub refuses {}: {}", item.name, printable(message));
                return Err(FetchError::refused(&address, reason));
            }
            if let Some(upload) = object["actions"]["upload"].as_object() {
                self.send(item, &address, upload)?;
            } else {
                self.meter.add(item.bytes); // it has that already
            }
            if let Some(verify) = object["actions"]["verify"]["href"].as_str() {
                let verify = self.location(&address, verify)?;
                self.told(
                    &verify,
                    &json!({"oid": item.sha256, "size": item.bytes}),
                    LFS_JSON,
                )?;
            }
        }
        Ok(())
    }

    fn send(&self, item: &Item, batch: &Address, upload: &Map<String, Value>) -> Result<(), FetchError> {
        let location = self.location(
            batch,
            upload.get("href").and_then(Value::as_str).unwrap_or_default(),
        )?;
        let given = upload
            .get("header")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let chunk = given.get("chunk_size");
        let chunk = chunk.and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
        let Some(chunk) = chunk else {
            let mut headers = Vec::new();
            for (name, value) in &given {
                let name: HeaderName = name.parse().map_err(|error| FetchError::refused(batch, error))?;
                let value = value.as_str().unwrap_or_default();
                headers.push((
                    name,
                    value.parse().map_err(|error| FetchError::refused(batch, error))?,
                ));
            }
            return self.put(item, &location, &headers, 0, item.bytes).map(drop);
        };
        let count = if chunk == 0 { 0 } else { item.bytes.div_ceil(chunk) };
        let places: BTreeMap<u64, &str> = given
            .iter()
            .filter_map(|(key, value)| Some((key.parse().ok()?, value.as_str()?)))
            .collect();
        if !places.keys().copied().eq(1..=count) || count == 0 {
            return Err(FetchError::refused(
                batch,
                format!(
                    "its list of chunk addresses for {} does not match the size of the file",
                    item.name
                ),
            ));
        }
        let mut parts = Vec::new();
        for (number, location) in places {
            let (from, location) = ((number - 1) * chunk, self.location(batch, location)?);
            let etag = self.put(item, &location, &[], from, chunk.min(item.bytes - from))?;
            parts.push(json!({"partNumber": number, "etag": etag}));
        }
        self.told(&location, &json!({"oid": item.sha256, "parts": parts}), LFS_JSON)
            .map(drop)
    }

    /// Address that the hub gives for an upload, if an upload to it is allowed.
    fn location(&self, from: &Address, text: &str) -> Result<Address, FetchError> {
        let location = Address::parse(text).and_then(|to| allowed(from, &to).map(|()| to));
        location.map_err(|reason| {
            FetchError::refused(
                from,
                format!(
                    "it names {} as the address for an upload: {reason}",
                    printable(text.split('?').next().unwrap_or_default())
                ),
            )
        })
    }

    /// Uploads a range of bytes of a file. Returns the ETag of the answer.
    fn put(
        &self,
        item: &Item,
        location: &Address,
        headers: &[(HeaderName, HeaderValue)],
        from: u64,
        bytes: u64,
    ) -> Result<String, FetchError> {
        let mut tries = Tries::new(self.client.limits(), location, self.meter);
        loop {
            let mut file = File::open(&item.path).map_err(CheckpointError::io("open", &item.path))?;
            file.seek(SeekFrom::Start(from))
                .map_err(CheckpointError::io("read", &item.path))?;
            let mut request = self
                .client
                .agent(location)
                .put(location.whole())
                .header(header::CONTENT_LENGTH, bytes);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request.config().timeout_recv_response(Some(PATIENCE)).build();
            let reason = match request.send(SendBody::from_owned_reader(file.take(bytes))) {
                Ok(response) if response.status().is_success() => {
                    self.meter.add(bytes);
                    let etag = response
                        .headers()
                        .get(header::ETAG)
                        .and_then(|etag| etag.to_str().ok());
                    return Ok(etag.unwrap_or_default().to_string());
                }
                Ok(response) if is_passing(response.status().as_u16()) => {
                    format!("the server answers with status {}", response.status().as_u16())
                }
                Ok(response) => return Err(unwelcome(location, response.status().as_u16(), true)),
                Err(error) => match failed(location, error) {
                    Failed::Again(reason) => reason,
                    Failed::For(error) => return Err(error),
                },
            };
            tries.again(reason, None)?;
        }
    }
}
