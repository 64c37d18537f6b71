//! Presets: sizes of model, and published experiments. Their files say what they are.

use burn_dragon_train::api::Preset;

macro_rules! preset {
    ($name:literal, $about:literal) => {
        Preset {
            name: $name,
            about: $about,
            path: concat!("config/language/presets/", $name, ".toml"),
            text: include_str!(concat!("../../config/presets/", $name, ".toml")),
        }
    };
}

/// Presets of the family: sizes first, from small to large.
pub(super) const PRESETS: &[Preset] = &[
    preset!("tiny", "0.4 M parameters: minutes on a laptop"),
    preset!("small", "3 M parameters: hours on a processor"),
    preset!("base", "13 M parameters: for a GPU"),
    preset!(
        "large",
        "25 M parameters, the smallest size of the paper: for a GPU"
    ),
    preset!(
        "paper",
        "25 M parameters, trained as in the paper: memory carried over 2,048 bytes"
    ),
    preset!(
        "shakespeare",
        "25 M parameters on tiny Shakespeare, as the official script trains"
    ),
    preset!(
        "shakespeare_demo",
        "0.2 M parameters on characters of tiny Shakespeare"
    ),
    preset!("wikitext2", "25 M parameters, 2 levels, on WikiText-2 as bytes"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::TokenizerConfig;
    use crate::training::{Language, LanguageConfig};
    use burn_dragon_train::api::expert::count;
    use burn_dragon_train::api::{Layers, check_config};

    fn config(preset: &Preset) -> LanguageConfig {
        let layers = Layers::new().embedded(preset.path, preset.text).unwrap();
        let checked = check_config::<Language>(layers);
        checked.map(|resolved| resolved.value).unwrap()
    }

    /// Number of parameters of the model of a preset. Tiny Shakespeare has 65 characters, and there are 4 special tokens.
    fn parameters(preset: &Preset) -> u64 {
        let config = config(preset);
        let tokens = match config.dataset.tokenizer {
            TokenizerConfig::Char { .. } => 69,
            _ => 256,
        };
        config.model.with_vocabulary(tokens).unwrap().cost().parameters()
    }

    #[test]
    fn every_preset_says_the_number_of_its_parameters() {
        for preset in PRESETS {
            let said = format!("\n# {} parameters", count(parameters(preset)));
            assert!(preset.text.contains(&said), "{}: {said}", preset.name);
            let (millions, _) = preset.about.split_once(" M parameters").unwrap();
            let off = parameters(preset) as f64 / 1e6 - millions.parse::<f64>().unwrap();
            assert!(off.abs() < 0.5, "{}: {millions}", preset.name);
        }
    }

    #[test]
    fn the_large_preset_is_the_official_model_and_sizes_rise() {
        let of = |name: &str| PRESETS.iter().find(|preset| preset.name == name).unwrap();
        let large = config(of("large")).model;
        let sizes = (large.d_model, large.n_heads, large.n_neurons, large.n_levels);
        assert_eq!(sizes, (256, 4, 32_768, 6));
        assert_eq!(parameters(of("large")), 25_296_896);
        let rising = ["tiny", "small", "base", "large"].map(|name| parameters(of(name)));
        assert!(rising.is_sorted_by(|a, b| 3 * a / 2 < *b), "{rising:?}");
    }

    /// A file may be read with `-c` too: a preset then must not depend on layers below it.
    #[test]
    fn every_preset_names_itself_and_its_family() {
        for preset in PRESETS {
            assert!(preset.text.starts_with(&format!("# Preset `{}`: ", preset.name)));
            assert!(preset.text.contains(&format!("--preset {}", preset.name)));
            assert!(preset.text.contains("\nfamily = \"language\"\n"));
        }
    }
}
