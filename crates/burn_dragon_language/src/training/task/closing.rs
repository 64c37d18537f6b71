//! The question at the end of a run: one that the model answers from its memory.

use super::LanguageTask;
use crate::error::LanguageError;
use crate::generate::{GenerationConfig, Generator};
use crate::tales::Prompt;
use burn_dragon_core::api::Dragon;
use std::ops::ControlFlow;

/// Number of questions of which one that the model answers is shown at the end.
const QUESTIONS: usize = 24;

impl LanguageTask {
    /// A prompt of the recall probe whose word the model recalls, and what `dragon generate` answers to it with
    /// `--temperature 0 --stop .`; `None` if the text has no such words or the model recalls none of a few.
    pub(in crate::training) fn recalled(
        &self,
        model: &Dragon,
    ) -> Result<Option<(String, String)>, LanguageError> {
        let Some(probes) = &self.probes else {
            return Ok(None);
        };
        let config = GenerationConfig {
            temperature: 0.0,
            stop: vec![".".into()],
            ..self.config.generation.clone()
        };
        let generator = Generator::new(model, self.corpus.tokenizer.clone(), &config)?;
        for Prompt { text, answer, .. } in probes.full.prompts(QUESTIONS) {
            let prompt = text.trim_end();
            if prompt.contains(['"', '$', '`', '\\', '!']) {
                continue; // a shell would read it
            }
            let tokens = self.corpus.tokenizer.encode(prompt.as_bytes())?;
            if let Some(said) = says(&generator, &tokens, &answer)? {
                return Ok(Some((prompt.into(), format!("{prompt}{said}"))));
            }
        }
        Ok(None)
    }
}

/// What a generator says to a prompt, if it is `answer`. A wrong answer ends with its first wrong piece.
fn says(generator: &Generator<'_>, prompt: &[u32], answer: &str) -> Result<Option<String>, LanguageError> {
    let mut said = String::new();
    generator.run(prompt, |piece| {
        said.push_str(piece);
        match answer.starts_with(said.trim_start()) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok((said.trim_start() == answer).then_some(said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::ByteTokenizer;
    use burn::tensor::Device;
    use burn_dragon_core::api::DragonConfig;
    use std::sync::Arc;

    #[test]
    fn an_answer_is_what_the_model_says_and_nothing_else() {
        let model = DragonConfig {
            n_levels: 1,
            d_model: 8,
            n_heads: 1,
            n_neurons: 16,
            ..DragonConfig::tiny()
        };
        let dragon = Dragon::new(&model, 1, &Device::flex()).unwrap();
        let config = GenerationConfig {
            temperature: 0.0,
            max_tokens: Some(3),
            ..GenerationConfig::default()
        };
        let generator = Generator::new(&dragon, Arc::new(ByteTokenizer), &config).unwrap();
        let prompt = [65, 66, 67];
        let said = generator
            .run(&prompt, |_| ControlFlow::Continue(()))
            .unwrap()
            .text;
        let answer = said.trim_start();
        assert!(!answer.is_empty());
        assert_eq!(says(&generator, &prompt, answer).unwrap().as_ref(), Some(&said));
        assert_eq!(
            says(&generator, &prompt, &format!("{answer}s")).unwrap(),
            None,
            "too little was said"
        );
        assert_eq!(says(&generator, &prompt, "mill").unwrap(), None);
    }
}
