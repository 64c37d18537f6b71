//! Model and tokens of a benchmark.

use crate::args::SubjectArgs;
use crate::commands::notes;
use crate::exit::Usage;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon::api::core::{Dragon, DragonConfig, FreeMemory, MemoryError, Need};
use burn_dragon::api::exchange::{ModelPath, Which};
use burn_dragon::api::expert::core::{Activity, Rng, activity, derive, of_density, snapshot};
use burn_dragon::api::expert::language::{Split, Tokens};
use burn_dragon::api::language::{LanguageModel, SourceConfig, TextConfig, Tokenizer, TokenizerConfig};
use std::sync::Arc;

/// Seed of all random numbers.
const SEED: u64 = 1337;

/// Maximum number of tokens on which densities are measured. The second half counts.
pub(super) const WINDOW: usize = 512;

/// Memory that a benchmark needs with its model, and the flags it depends on.
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) tokens: usize,
    pub(super) flags: &'static str,
}

impl Room {
    /// Refuses what this machine has no memory for.
    fn check(&self) -> Result<(), MemoryError> {
        let need = Need::of("the benchmark")
            .with("model and work", self.bytes)
            .with("tokens", (self.tokens as u64).saturating_mul(16));
        let way_out = || format!("use a smaller {}, or a smaller model", self.flags);
        FreeMemory::of_this_machine().check(&need, way_out)
    }
}

/// Model and input of a benchmark.
pub(super) struct Subject {
    pub(super) dragon: Dragon,
    #[cfg(feature = "train")]
    pub(super) tokenizer: Arc<dyn Tokenizer>,
    /// Description of the weights' origin.
    pub(super) weights: String,
    text: Option<Vec<u32>>,
}

impl Subject {
    /// The model that was asked for, on `device`, with this share of y dropped in training. `room` says of its shape what
    /// there must be memory for; a random one is not made where there is not.
    pub(super) fn new(
        args: &SubjectArgs,
        dropout: f64,
        device: &Device,
        room: impl Fn(&DragonConfig) -> Room,
    ) -> anyhow::Result<Self> {
        let (dragon, tokenizer, weights) = match &args.weights {
            Some(path) => trained(path.clone(), args, dropout, device)?,
            None => {
                let config = config_of(args, dropout);
                config.validate()?;
                room(&config).check()?;
                random(args, &config, device)?
            }
        };
        room(dragon.config()).check()?;
        let text = match &args.text {
            Some(path) => Some(read(path, &*tokenizer)?),
            None => None,
        };
        if args.weights.is_some() && text.is_none() {
            tell!("note: random tokens; a trained model is sparser on text, which --text FILE reads");
        }
        Ok(Self {
            dragon,
            #[cfg(feature = "train")]
            tokenizer,
            weights,
            text,
        })
    }

    pub(super) fn config(&self) -> &DragonConfig {
        self.dragon.config()
    }

    /// `count` tokens: the text from its start, again and again if it is short, or random ones.
    pub(super) fn tokens(&self, count: usize) -> Vec<u32> {
        match &self.text {
            Some(text) => text.iter().copied().cycle().take(count).collect(),
            None => {
                let mut rng = Rng::new(derive(SEED, "bench.tokens", 0, 0));
                let vocabulary = self.config().vocab_size;
                (0..count).map(|_| rng.below(vocabulary) as u32).collect()
            }
        }
    }

    /// The whole text, or random tokens; `least` of them or more.
    #[cfg(feature = "train")]
    pub(super) fn corpus(&self, least: usize) -> Vec<u32> {
        let whole = self.text.as_ref().map_or(0, Vec::len);
        self.tokens(whole.max(least))
    }

    /// Description of the input.
    pub(super) fn reads(&self, amount: &str) -> String {
        let kind = if self.text.is_some() { "text" } else { "random" };
        format!("{amount} {kind} tokens")
    }

    /// Shares of active neurons at the end of these tokens.
    pub(super) fn activity(&self, tokens: &[u32]) -> Activity {
        activity(&self.dragon, &tokens[tokens.len().saturating_sub(WINDOW)..])
    }
}

/// `[lanes, T]` tokens from `lanes T` of them.
pub(super) fn batch(tokens: &[u32], lanes: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    Tensor::from_data(TensorData::new(ids, [lanes, tokens.len() / lanes]), device)
}

type Parts = (Dragon, Arc<dyn Tokenizer>, String);

fn trained(
    path: std::path::PathBuf,
    args: &SubjectArgs,
    dropout: f64,
    device: &Device,
) -> anyhow::Result<Parts> {
    let path = ModelPath {
        path,
        which: Which::Last,
        official_config: args.model_config.clone(),
    };
    let LanguageModel {
        dragon,
        tokenizer,
        info,
        passed_over,
        ..
    } = LanguageModel::load(
        &crate::commands::remote::find(&path, false)?,
        &device.clone().inner(),
    )?;
    crate::commands::passed_over(&passed_over);
    let weights = format!("trained for {} steps", info.step);
    let config = DragonConfig {
        dropout,
        ..dragon.config().clone()
    };
    let mut values = snapshot(&dragon);
    let value = |name: &str, _: &[usize]| match values.remove(name) {
        Some(value) => value,
        None => unreachable!("`{name}` is a tensor of the same model"),
    };
    Ok((Dragon::from_weights(&config, device, value)?, tokenizer, weights))
}

fn config_of(args: &SubjectArgs, dropout: f64) -> DragonConfig {
    DragonConfig {
        n_levels: args.levels,
        d_model: args.d_model,
        n_heads: args.heads,
        n_neurons: args.neurons,
        dropout,
        connector: args.connector.clone(),
        mixer: args.mixer.clone(),
        positions: args.positions,
        ..DragonConfig::small()
    }
}

fn random(args: &SubjectArgs, config: &DragonConfig, device: &Device) -> anyhow::Result<Parts> {
    let (dragon, weights) = match args.density {
        None => (Dragon::new(config, SEED, device)?, "random".to_string()),
        Some(density) if density > 0.0 && density < 1.0 => (
            of_density(config, density, SEED, device)?,
            format!("random, with thresholds for x {:.1} %", 100.0 * density),
        ),
        Some(density) => {
            let text = format!("--density {density}: expected a share between 0 and 1");
            return Err(Usage(text).into());
        }
    };
    Ok((dragon, TokenizerConfig::default().train(&[])?, weights))
}

fn read(path: &str, tokenizer: &dyn Tokenizer) -> anyhow::Result<Vec<u32>> {
    let source = SourceConfig::Text(TextConfig {
        paths: vec![path.to_string()],
        document_separator: None,
    });
    let documents = source.load(Split::Validation, &std::env::current_dir()?)?;
    notes(documents.notes());
    let Tokens { ids, .. } = Tokens::encode(&documents, tokenizer)?;
    if ids.is_empty() {
        return Err(Usage(format!("--text {path}: the text is empty")).into());
    }
    Ok(ids.read(0..ids.len()).into_owned())
}
