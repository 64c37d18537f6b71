//! Where a model's files are asked for, and which they may be.

use super::address::Address;
use super::error::FetchError;
use super::hub::Hub;
use super::source::HubId;
use burn_dragon_checkpoint::api::expert::is_plain_name;

/// Where a model's files are asked for.
pub(super) struct Location {
    /// What tells it from every other location.
    pub(super) key: String,
    /// A word for it.
    pub(super) name: String,
    /// The folder of the files.
    pub(super) site: Address,
    /// The hub, where it is one's.
    pub(super) hub: Option<Hub>,
    /// The repository, where it is a hub's.
    pub(super) id: Option<HubId>,
    /// Whether it never changes.
    pub(super) pinned: bool,
    /// The forms that a model may have, the first that is there being taken.
    pub(super) forms: Vec<Form>,
}

/// The form of a model on a server, with the name of its first file.
pub(super) enum Form {
    Parts(String),
    Whole(String),
    Official(String),
}

impl Form {
    pub(super) fn name(&self) -> &str {
        let (Self::Parts(name) | Self::Whole(name) | Self::Official(name)) = self;
        name
    }

    /// A `.bpk` on a server: in parts if it is there so, else whole.
    fn of_bpk(name: &str) -> Vec<Self> {
        vec![
            Self::Parts(format!("{name}.parts.json")),
            Self::Whole(name.to_string()),
        ]
    }

    /// A folder on a server.
    fn of_folder() -> Vec<Self> {
        let official = Self::Official("model.safetensors".into());
        Self::of_bpk("model.bpk").into_iter().chain([official]).collect()
    }
}

impl Location {
    pub(super) fn address(address: &Address) -> Result<Self, FetchError> {
        let name = address.name();
        let ends = |ending| name.ends_with(ending);
        let is_file = ends(".bpk") || ends(".safetensors") || ends(".parts.json");
        if is_file && !is_plain_name(name) {
            return Err(FetchError::Source {
                given: address.to_string(),
                reason: "the name of its file is not a plain one (letters, digits, `.`, `-`, `_`, `+`)"
                    .into(),
            });
        }
        let forms = match name {
            name if ends(".parts.json") => vec![Form::Parts(name.to_string())],
            name if ends(".safetensors") => vec![Form::Official(name.to_string())],
            name if ends(".bpk") => Form::of_bpk(name),
            _ => Form::of_folder(),
        };
        Ok(Self {
            key: address.to_string(),
            name: address.path().to_string(),
            site: if is_file {
                address.folder()
            } else {
                address.as_folder()
            },
            hub: None,
            id: None,
            pinned: false,
            forms,
        })
    }

    pub(super) fn hub(hub: &Hub, id: &HubId) -> Self {
        let site = hub.files(id);
        Self {
            key: site.to_string(),
            name: id.repo.replace('/', "-"),
            site,
            hub: Some(hub.clone()),
            id: Some(id.clone()),
            pinned: id.is_commit(),
            forms: Form::of_folder(),
        }
    }

    /// A file, at the commit that the hub told, so that all the files are of one.
    pub(super) fn file(&self, name: &str, commit: Option<&str>) -> Address {
        let site = match (&self.hub, &self.id, commit) {
            (Some(hub), Some(id), Some(commit)) => {
                let (repo, revision) = (id.repo.clone(), commit.to_string());
                hub.files(&HubId { repo, revision })
            }
            _ => self.site.clone(),
        };
        site.file(name)
    }
}
