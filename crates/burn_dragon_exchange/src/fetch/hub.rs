//! Hub: its endpoint, its token, and the addresses of the files in a repository.

use super::address::Address;
use super::error::FetchError;
use super::http::Token;
use super::source::HubId;
use burn_dragon_checkpoint::api::expert::plain;
use std::env;
use std::fmt;
use std::path::PathBuf;

/// Endpoint of the default hub.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Hub with the interface of huggingface.co.
#[derive(Clone)]
pub struct Hub {
    pub(super) endpoint: Address,
    pub(super) token: Option<String>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.is_some();
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint.to_string())
            .field("has_token", &token)
            .finish()
    }
}

impl Hub {
    /// A hub with its endpoint and the user's token.
    ///
    /// # Errors
    /// If the endpoint is not a valid address.
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self, FetchError> {
        let refuse = |reason: String| FetchError::Source {
            given: endpoint.to_string(),
            reason,
        };
        let endpoint = Address::parse(endpoint).map_err(refuse)?.as_folder();
        Ok(Self { endpoint, token })
    }

    /// The hub of `HF_ENDPOINT`, with the token of `HF_TOKEN`, or else the token that the tools of the hub have stored.
    ///
    /// # Errors
    /// If `HF_ENDPOINT` is not a valid address.
    pub fn from_env() -> Result<Self, FetchError> {
        let endpoint = env::var("HF_ENDPOINT")
            .ok()
            .filter(|endpoint| !endpoint.is_empty());
        Self::new(endpoint.as_deref().unwrap_or(ENDPOINT), token())
    }

    /// Token, and the only origin that it is sent to. `None` if it would be sent unencrypted over the network.
    pub(super) fn token(&self) -> Option<Token> {
        let safe = self.endpoint.is_https() || self.endpoint.is_loopback();
        let secret = self.token.clone().filter(|_| safe)?;
        Some(Token {
            origin: self.endpoint.origin(),
            secret,
        })
    }

    /// Address of the folder with the files of a repository.
    pub(super) fn files(&self, id: &HubId) -> Address {
        let revision = id.revision.replace('/', "%2F");
        self.endpoint.file(&format!("{}/resolve/{revision}/", id.repo))
    }
}

/// `HF_TOKEN`, else the file at `HF_TOKEN_PATH`, else `token` in `HF_HOME`, else in `~/.cache/huggingface`.
fn token() -> Option<String> {
    let of = |name| env::var_os(name).filter(|value| !value.is_empty());
    let kept = || {
        let home = of("HF_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(env::home_dir()?.join(".cache/huggingface")));
        let path = of("HF_TOKEN_PATH")
            .map(PathBuf::from)
            .or_else(|| Some(home?.join("token")))?;
        plain::read_text(&path, 4096).ok()
    };
    let token = of("HF_TOKEN")
        .and_then(|token| token.into_string().ok())
        .or_else(kept)?;
    let token = token.trim();
    // A text that an HTTP header cannot hold is not a token.
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then(|| token.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_repository_have_addresses() {
        let hub = Hub::new("https://huggingface.co", None).unwrap();
        let at = |id| {
            hub.files(&HubId::parse(id).unwrap())
                .file("model.bpk")
                .to_string()
        };
        assert_eq!(at("o/n"), "https://huggingface.co/o/n/resolve/main/model.bpk");
        assert_eq!(
            at("o/n@refs/pr/1"),
            "https://huggingface.co/o/n/resolve/refs%2Fpr%2F1/model.bpk"
        );
        let mirror = Hub::new("http://127.0.0.1:9/hub/", None).unwrap();
        assert_eq!(
            mirror.files(&HubId::parse("o/n@v1").unwrap()).to_string(),
            "http://127.0.0.1:9/hub/o/n/resolve/v1/"
        );
    }

    #[test]
    fn a_token_is_neither_shown_nor_sent_unprotected() {
        let secret = || Some("hf_secret".to_string());
        let hub = Hub::new("https://huggingface.co", secret()).unwrap();
        assert!(!format!("{hub:?}").contains("secret"));
        assert_eq!(hub.token().unwrap().origin, "https://huggingface.co");
        assert!(
            Hub::new("http://127.0.0.1:9", secret())
                .unwrap()
                .token()
                .is_some()
        );
        assert!(
            Hub::new("http://example.org", secret())
                .unwrap()
                .token()
                .is_none()
        );
    }
}
