//! What can go wrong on the way from a server to the cache.

use burn_dragon_checkpoint::api::CheckpointError;

/// A model that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// What was given is no address of a model.
    #[error("`{given}` is not the location of a model: {reason}")]
    Source {
        /// What was given.
        given: String,
        /// Why not.
        reason: String,
    },
    /// The server has no such thing.
    #[error("nothing at {address}: {reason}")]
    NotFound {
        /// What was asked for.
        address: String,
        /// What was answered, and what to do.
        reason: String,
    },
    /// The server does not give it to whoever asks.
    #[error("{address} is not given out (status {status}): {remedy}")]
    Denied {
        /// What was asked for.
        address: String,
        /// The status of the answer.
        status: u16,
        /// What to do.
        remedy: String,
    },
    /// The server did not answer, or not to the end, however often it was asked.
    #[error(
        "cannot fetch {address}: {reason}, after {tries} tries; try again later: what came is kept and not fetched twice"
    )]
    Network {
        /// What was asked for.
        address: String,
        /// What went wrong last.
        reason: String,
        /// How often it was asked for.
        tries: u32,
    },
    /// It would have to be fetched, and that was forbidden.
    #[error(
        "{what} is not in the cache {cache}, and offline nothing is fetched; fetch it once without --offline and BURN_DRAGON_OFFLINE"
    )]
    Offline {
        /// What was asked for.
        what: String,
        /// Where it was looked for.
        cache: String,
    },
    /// What the server answers is not what it should be. Nothing of it was kept.
    #[error("{address} is refused: {reason}")]
    Refused {
        /// What was asked for.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// There is another version of it now than when it was begun.
    #[error("{address} changed on the server while it was fetched; try again")]
    Changed {
        /// What was asked for.
        address: String,
    },
    /// It is longer than what is fetched.
    #[error(
        "{address} is {given}, and at most {limit} bytes are fetched; BURN_DRAGON_MAX_BYTES=N allows more"
    )]
    TooLarge {
        /// What was asked for.
        address: String,
        /// How long it is said to be, or that it does not end.
        given: String,
        /// The limit.
        limit: u64,
    },
    /// The cache, or what lies in it.
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

    /// Whether what was fetched is at fault, not the network, the machine or what was typed.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } => true,
            Self::Cache(error) => error.is_bad_input(),
            _ => false,
        }
    }
}
