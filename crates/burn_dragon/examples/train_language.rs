//! Training as a library: a small model on a text in memory, and a short generated text.
//!
//! `cargo run --release --example train_language`

use burn_dragon::api::core::Backend;
use burn_dragon::api::exchange::ModelPath;
use burn_dragon::api::language::{
    GenerationConfig, Generator, LanguageConfig, LanguageModel, LanguageTask, ModelConfig, SequenceConfig,
};
use burn_dragon::api::train::{Interrupt, Output, RunFolder, Task, Trainer, TrainingConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("burn_dragon_example_{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let text = "the dragon sleeps in the cave. the dragon wakes and flies away.\n".repeat(200);

    let config = LanguageConfig {
        model: ModelConfig {
            d_model: 32,
            n_neurons: 256,
            n_levels: 2,
            ..ModelConfig::default()
        },
        sequence: SequenceConfig {
            block_size: 64,
            ..SequenceConfig::default()
        },
        training: TrainingConfig {
            batch_size: 4,
            max_steps: 60,
            ..TrainingConfig::default()
        },
        ..LanguageConfig::default()
    };

    let backend = Backend::Auto.select()?;
    // `LanguageTask::new` reads the source of `config.dataset` instead: files, data sets, tales.
    let task = LanguageTask::on_texts(&config, &[text], &backend.device.clone().autodiff())?;
    let run = RunFolder::create(Some(&folder.join("run")), &folder, "example")?;
    let trainer = Trainer::new(&task, config.plan(), &run, Output::plain(), Interrupt::none())?;
    let (_, outcome) = trainer.fit(task.new_model()?)?;
    println!("loss {:.3} after {} steps", outcome.train_loss, outcome.steps);

    let model = LanguageModel::load(&ModelPath::new(run.path()), &backend.device)?;
    let settings = GenerationConfig {
        temperature: 0.0,
        max_tokens: Some(40),
        ..GenerationConfig::default()
    };
    let generation = Generator::new(&model.dragon, model.tokenizer, &settings)?.complete("the dragon")?;
    println!("the dragon{}", generation.text);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
