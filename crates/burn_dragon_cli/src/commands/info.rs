//! `dragon info`: configuration, parameters, cost.

use super::{load, print_json};
use crate::args::InfoArgs;
use burn_dragon::api::core::Backend;
use burn_dragon::api::expert::checkpoint::one_line;
use burn_dragon::api::language::{WindowReading, reading_in_words};
use serde_json::json;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read.
pub fn run(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    // Nothing is computed: the processor will do, whatever is present.
    let model = load(&args.model.place, &Backend::Cpu.select()?)?;
    let (config, info) = (model.dragon.config(), &model.info);
    let cost = config.cost();
    if args.json {
        print_json(&json!({
            "file": model.file,
            "config": config,
            "info": info,
            "tokenizer": model.tokenizer.spec(),
            "parameters": cost.parameters(),
            "forward_flops_per_token": cost.forward_flops_per_token(256),
            "training_flops_per_token": cost.training_flops_per_token(256),
            "decode_flops_per_token": cost.decode_flops_per_token(),
            "state_bytes": cost.state_bytes(),
            "decode_bytes_per_token": cost.decode_bytes_per_token(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    show!("{}", model.file.display());
    show!(
        "  family            {}, written by {}",
        one_line(&info.family),
        one_line(&info.version)
    );
    show!("  trained           {} steps, {} tokens", info.step, info.tokens);
    if let Some(learnt) = &info.reading {
        let divided = match &learnt.document_separator {
            Some(separator) => format!("; documents divided at {separator:?}"),
            None => String::new(),
        };
        let words = reading_in_words(WindowReading::from(learnt));
        show!("  has learnt        {}", one_line(&format!("{words}{divided}")));
    }
    let provenance = info.provenance.clone().unwrap_or_default();
    let told = [
        ("run", provenance.run),
        ("data", provenance.data),
        ("licence", provenance.license),
    ];
    for (what, said) in told {
        if let Some(said) = said {
            show!("  {what:17} {}", one_line(&said));
        }
    }
    show!(
        "  shape             {} levels, width {}, {} heads, {} neurons, vocabulary {}",
        config.n_levels,
        config.d_model,
        config.n_heads,
        config.n_neurons,
        config.vocab_size
    );
    show!("  parameters        {}", cost.parameters());
    show!(
        "  forward           {:.1} MFLOP a token (window of 256)",
        mega(cost.forward_flops_per_token(256))
    );
    show!(
        "  generation        {:.1} MFLOP a token, at any length",
        mega(cost.decode_flops_per_token())
    );
    show!(
        "  memory of a lane  {:.1} MB, at any length",
        mega(cost.state_bytes())
    );
    Ok(ExitCode::SUCCESS)
}

fn mega(number: u64) -> f64 {
    number as f64 / 1e6
}
