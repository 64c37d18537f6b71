//! Errors of fetching a model.

use burn_dragon_checkpoint::api::CheckpointError;

/// Error of fetching a model.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The given text is not the location of a model.
    #[error("`{given}` is not the location of a model: {reason}")]
    Source {
        /// Text that was given.
        given: String,
        /// Reason.
        reason: String,
    },
    /// The server does not have the file.
    #[error("nothing at {address}: {reason}")]
    NotFound {
        /// Address of the request.
        address: String,
        /// Answer of the server, and what to do.
        reason: String,
    },
    /// The server denies access.
    #[error("{address} cannot be read: the server denies access (status {status}): {remedy}")]
    Denied {
        /// Address of the request.
        address: String,
        /// HTTP status of the answer.
        status: u16,
        /// What to do.
        remedy: String,
    },
    /// The server did not answer completely, after the last try.
    #[error(
        "cannot fetch {address}: {reason}, after {tries} tries; try again later; received bytes are kept and not fetched twice"
    )]
    Network {
        /// Address of the request.
        address: String,
        /// Reason of the last failure.
        reason: String,
        /// Number of tries.
        tries: u32,
    },
    /// The model is not in the cache, and `offline` forbids downloads.
    #[error(
        "{what} is not in the cache {cache}, and downloads are off; fetch it once without --offline and BURN_DRAGON_OFFLINE"
    )]
    Offline {
        /// Model that was asked for.
        what: String,
        /// Folder of the cache.
        cache: String,
    },
    /// The answer of the server is not valid. Nothing of it is kept.
    #[error("{address} is refused: {reason}")]
    Refused {
        /// Address of the request.
        address: String,
        /// Description of the fault.
        reason: String,
    },
    /// The file changed on the server during the download.
    #[error("{address} changed on the server while it was fetched; try again")]
    Changed {
        /// Address of the request.
        address: String,
    },
    /// The file is above the size limit.
    #[error(
        "{address} is {given}, at most {limit} bytes are allowed; to allow more, set BURN_DRAGON_MAX_BYTES=N"
    )]
    TooLarge {
        /// Address of the request.
        address: String,
        /// Size that the server declares, or that it declares none.
        given: String,
        /// Limit in bytes.
        limit: u64,
    },
    /// Error of the cache, or of a file in it.
    #[error(transparent)]
    Cache(#[from] CheckpointError),
}

impl FetchError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are given away here"
    )]
    pub(super) fn refused(address: impl ToString, reason: impl ToString) -> Self {
        let (address, reason) = (address.to_string(), reason.to_string());
        Self::Refused { address, reason }
    }

    /// Whether the fetched data is at fault, not the network, the machine or the input of the user.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } => true,
            Self::Cache(error) => error.is_bad_input(),
            _ => false,
        }
    }
}
