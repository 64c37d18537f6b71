//! Location of a model's files, and the forms that a model can have there.

use super::address::Address;
use super::error::FetchError;
use super::hub::Hub;
use super::source::HubId;
use burn_dragon_checkpoint::api::expert::is_plain_name;

/// Location of a model's files.
pub(super) struct Location {
    /// Unique key of the location.
    pub(super) key: String,
    /// Short name of the location.
    pub(super) name: String,
    /// Address of the folder of the files.
    pub(super) site: Address,
    /// Hub; `None` for another server.
    pub(super) hub: Option<Hub>,
    /// Repository; `None` for another server.
    pub(super) id: Option<HubId>,
    /// Whether the content can never change.
    pub(super) pinned: bool,
    /// Possible forms of the model. The first that exists is used.
    pub(super) forms: Vec<Form>,
}

/// Form of a model on a server, with the name of its first file.
pub(super) enum Form {
    Parts(String),
    Whole(String),
    Official(String),
    Data(String),
}

impl Form {
    pub(super) fn name(&self) -> &str {
        let (Self::Parts(name) | Self::Whole(name) | Self::Official(name) | Self::Data(name)) = self;
        name
    }

    /// Forms of a `.bpk` on a server: in parts, else whole.
    fn of_bpk(name: &str) -> Vec<Self> {
        vec![
            Self::Parts(format!("{name}.parts.json")),
            Self::Whole(name.to_string()),
        ]
    }

    /// Forms of a folder on a server.
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
                reason: "its file name is not a plain one (letters, digits, `.`, `-`, `_`, `+`)".into(),
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

    /// Address of a file. On a hub it names the commit, so that all files come from the same one.
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
