//! `dragon state info`: content and origin of a memory.

use super::super::print_json;
use super::{counts, listed, read};
use crate::args::StateInfoArgs;
use burn_dragon::api::expert::checkpoint::one_line;
use burn_dragon::api::language::LanguageState;
use burn_dragon::api::language::Sliding;
use serde_json::json;

pub(super) fn run(args: &StateInfoArgs) -> anyhow::Result<()> {
    let file = read(&args.file)?;
    let (norms, ranks) = (file.state.norms(), file.state.effective_ranks());
    if args.json {
        let memory = file.state.rho().first().map(|rho| rho.dims());
        return print_json(&json!({
            "file": args.file,
            "version": file.info.version,
            "model": file.info.model,
            "written_by": file.info.origin,
            "tokenizer": file.info.tokenizer,
            "config": file.config,
            "tokens": file.info.tokens,
            "seen": counts(&file), // different tokens, stream by stream
            "sliding": file.info.sliding,
            "streams": file.lanes(),
            "positions": file.state.positions(),
            "shape": memory, // of each level
            "precision": file.precision,
            "bytes": file.state.bytes(),
            "norms": norms,
            "effective_ranks": ranks,
        }));
    }
    show!("{}", args.file.display());
    describe(&file);
    show!("  level  lane        norm  effective rank, head by head");
    for (level, (norms, ranks)) in norms.iter().zip(&ranks).enumerate() {
        for (lane, (norm, ranks)) in norms.iter().zip(ranks).enumerate() {
            let ranks: Vec<String> = ranks.iter().map(|rank| format!("{rank:.1}")).collect();
            show!("  {level:5}  {lane:4}  {norm:10.4e}  {}", ranks.join("  "));
        }
    }
    Ok(())
}

fn describe(file: &LanguageState) {
    let (config, info) = (&file.config, &file.info);
    match &info.origin {
        Some(origin) => show!(
            "  model         {}, sha256 {}",
            one_line(&origin.to_string()),
            info.model
        ),
        None => show!("  model         sha256 {}", info.model),
    }
    show!(
        "  tokenizer     {}",
        info.tokenizer
            .as_ref()
            .map_or("none".into(), |hash| format!("sha256 {hash}"))
    );
    show!(
        "  shape         {} levels, width {}, {} heads, {} neurons, vocabulary {}",
        config.n_levels,
        config.d_model,
        config.n_heads,
        config.n_neurons,
        config.vocab_size
    );
    show!(
        "  read          {} tokens, {} different ones, now at position {}",
        info.tokens,
        listed(&counts(file)),
        listed(file.state.positions())
    );
    show!(
        "  context       {}",
        match info.sliding {
            None => "infinite".to_string(),
            Some(Sliding {
                window,
                younger: false,
            }) => format!("sliding, {window} tokens, in its first window"),
            Some(Sliding { window, .. }) => format!(
                "sliding, {window} tokens: the first half of the lanes gives the logits, the second half is younger"
            ),
        }
    );
    show!(
        "  memory        {:.1} MB, {} streams, stored as {}, written by {}",
        file.state.bytes() as f64 / 1e6,
        file.lanes(),
        file.precision,
        info.version
    );
}
