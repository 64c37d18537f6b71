//! What makes the choices in a prediction: the learned policy, or a control.

use serde::Serialize;
use std::str::FromStr;

/// What makes the choices in a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chooser {
    /// The learned policy: the choices with the largest logits.
    #[default]
    Learned,
    /// The choices of which the model's answer is most certain; nothing is learnt for it.
    Confident,
    /// Random choices.
    Random,
    /// The first choices, in a fixed order.
    Raster,
    /// No choices: the model goes on without.
    Nothing,
}

/// A name that no chooser has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing that chooses is called `{0}`; expected learned, confident, random, raster or nothing")]
pub struct UnknownChooser(String);

impl Chooser {
    /// All of them, the learned policy first.
    pub const ALL: [Self; 5] = [
        Self::Learned,
        Self::Confident,
        Self::Random,
        Self::Raster,
        Self::Nothing,
    ];

    /// Name in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Confident => "confident",
            Self::Random => "random",
            Self::Raster => "raster",
            Self::Nothing => "nothing",
        }
    }

    /// The chooser in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Learned => "the learned policy",
            Self::Confident => "the model's certainty",
            Self::Random => "chance",
            Self::Raster => "their order",
            Self::Nothing => "nothing: none is committed",
        }
    }
}

impl FromStr for Chooser {
    type Err = UnknownChooser;

    fn from_str(name: &str) -> Result<Self, UnknownChooser> {
        let mut all = Self::ALL.into_iter();
        all.find(|chooser| chooser.name() == name)
            .ok_or_else(|| UnknownChooser(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chooser_is_known_by_its_name_and_others_are_told() {
        for chooser in Chooser::ALL {
            assert_eq!(chooser.name().parse(), Ok(chooser));
            assert_eq!(serde_json::to_value(chooser).unwrap(), chooser.name());
        }
        let error = "rnd".parse::<Chooser>().unwrap_err().to_string();
        assert!(error.contains("`rnd`"), "{error}");
        assert!(Chooser::ALL.iter().all(|chooser| error.contains(chooser.name())));
    }
}
