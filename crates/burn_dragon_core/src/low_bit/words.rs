//! Names of formats and protocols, and what a trunk quantises in words.

use super::config::{ActFormat, Protocol, WeightFormat};
use super::rules::LowBit;

impl Protocol {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BitnetB1 => "bitnet_b1",
            Self::BitnetB158 => "bitnet_b158",
            Self::BitnetA48Exp => "bitnet_a48_exp",
            Self::BitnetV2Exp => "bitnet_v2_exp",
        }
    }
}

impl WeightFormat {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
            Self::Sign1 => "sign1",
            Self::Ternary158 => "ternary158",
            Self::Packed2 => "packed2",
        }
    }
}

impl ActFormat {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
            Self::Int4Exp => "int4_exp",
            Self::Uint8PosExp => "uint8_pos_exp",
        }
    }
}

impl LowBit {
    /// What is quantised in words, and the form in which levels then run.
    pub fn in_words(&self) -> String {
        let weights = [
            ("decoder_x", self.decoder_x),
            ("decoder_y", self.decoder_y),
            ("encoder", self.encoder),
        ];
        let weights = weights.map(|(name, format)| (name, format.name()));
        let activities = [("v", self.v), ("a", self.a)].map(|(name, format)| (name, format.name()));
        let mut parts: Vec<String> = weights
            .into_iter()
            .chain(activities)
            .filter(|(_, format)| *format != WeightFormat::Fp16.name())
            .map(|(name, format)| format!("{name} {format}"))
            .collect();
        parts.extend(self.y.map(|levels| format!("y in {levels} levels")));
        let form = match self.has_activities() {
            false => "levels run as ever",
            true => "levels run by halves",
        };
        format!("{}; {form}", parts.join(", "))
    }
}
