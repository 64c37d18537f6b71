//! `dragon eval --suite`: bits per byte of texts, recall, needles and predictability, each with a standard error.

use super::progress::Watched;
use super::table::{Row, lines};
use super::{Text, distances, evaluator, held_out, of_files, reading, show};
use crate::args::EvalArgs;
use crate::commands::live::Pulse;
use crate::commands::run_settings::RunSettings;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::language::expert::Tokens;
use burn_dragon::api::language::{
    Evaluator, LanguageModel, LearntReading, Measured, NeedleConfig, NeedleProbe, PredictabilityScore,
    PredictabilityTask, RecallFigure, RecallProbe, SourceConfig, TalesConfig, TextScore, WindowMemory,
    WindowReading, check_known, model_hash, reading_in_words,
};
use burn_dragon_train::api::expert::{count, duration, write_atomic};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Most tales whose words are recalled.
const TALES: usize = 300;

/// Distances in bytes of the needles.
const DISTANCES: [usize; 5] = [100, 200, 500, 1000, 2000];

/// Text of the predictability task.
const TASK: PredictabilityTask = PredictabilityTask {
    periods: 192,
    seed: 0,
};

/// File of the figures in a run folder.
const FILE: &str = "eval_suite.json";

/// What is measured of a model.
struct Suite<'a> {
    args: &'a EvalArgs,
    model: &'a LanguageModel,
    reading: WindowReading,
    needle_reading: WindowReading,
    texts: Vec<(String, Tokens)>,
    tales: RecallProbe,
    needles: NeedleProbe,
}

/// Figures of a suite.
#[derive(Serialize)]
struct Figures {
    /// File of the model.
    model: PathBuf,
    /// Its optimiser steps.
    step: u64,
    /// Its hash.
    model_hash: String,
    #[serde(flatten)]
    reading: WindowReading,
    texts: Vec<TextFigure>,
    recall: Part<RecallFigure>,
    needle_reading: WindowReading,
    needles: Part<Vec<NeedleFigure>>,
    predictability: Part<PredictabilityScore>,
    seconds: f64,
}

#[derive(Serialize)]
struct TextFigure {
    text: String,
    #[serde(flatten)]
    score: TextScore,
}

#[derive(Serialize)]
struct NeedleFigure {
    /// Distance in bytes from the statement of the word to its recall.
    distance: usize,
    accuracy: Measured,
    chance: f64,
}

/// A part of the suite: its figures, or why the model has none.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<T> {
    Measured(T),
    Absent { absent: &'static str },
}

impl<T> Part<T> {
    fn of(figures: Option<T>) -> Self {
        figures.map_or(
            Self::Absent {
                absent: "the tokens of the model are not single known letters",
            },
            Self::Measured,
        )
    }
}

/// Runs the suite, shows its figures and writes them if asked to.
pub(super) fn run(args: &EvalArgs, model: &LanguageModel, learnt: &LearntReading) -> anyhow::Result<()> {
    let out = out(args, model)?;
    let suite = Suite::new(args, model, learnt)?;
    tell!("{}", suite.cost()?);
    let figures = suite.measure()?;
    show(args, &figures, &lines(&figures.rows()))?;
    if !args.json {
        figures.readings().iter().for_each(|line| show!("{line}"));
    }
    if let Some(path) = out {
        let json = serde_json::to_vec_pretty(&figures).context("cannot write the figures as JSON")?;
        write_atomic(&path, &json)?;
        tell!("figures written to {}", path.display());
    }
    Ok(())
}

/// File to write, if any.
fn out(args: &EvalArgs, model: &LanguageModel) -> Result<Option<PathBuf>, Usage> {
    match (&args.out, &model.run) {
        (None, _) => Ok(None),
        (Some(Some(file)), _) => Ok(Some(file.clone())),
        (Some(None), Some(run)) => Ok(Some(run.join(FILE))),
        (Some(None), None) => Err(Usage(
            "MODEL is not a run folder: give the file, --out FILE".into(),
        )),
    }
}

impl<'a> Suite<'a> {
    fn new(args: &'a EvalArgs, model: &'a LanguageModel, learnt: &LearntReading) -> anyhow::Result<Self> {
        let source = model.run.as_deref().map(RunSettings::of_run).transpose()?;
        let source = source.map(|run| run.dataset.source);
        let tales = match &source {
            Some(SourceConfig::Embedded(tales)) => tales.clone(),
            _ => TalesConfig::default(),
        };
        let needles = match source {
            Some(SourceConfig::Needle(needles)) => needles,
            _ => NeedleConfig::default(),
        };
        Ok(Self {
            args,
            model,
            reading: reading(args, learnt, WindowReading::from(learnt).memory)?,
            needle_reading: reading(args, learnt, WindowMemory::Carried)?,
            texts: texts(args, model, learnt)?,
            tales: RecallProbe::new(&tales, TALES.min(tales.validation_tales))?,
            needles: NeedleProbe::new(&needles, distances(args, &DISTANCES), args.cases)?,
        })
    }

    /// Number of tokens to read, about.
    fn tokens(&self) -> usize {
        let texts: usize = self.texts.iter().map(|(_, tokens)| tokens.ids.len()).sum();
        if !self.spells() {
            return texts; // neither recall nor letters
        }
        let tales = self.tales.tales().iter().map(|tale| tale.text.len());
        let needles = self.needles.cases().map(|tale| tale.text.len());
        texts + tales.chain(needles).sum::<usize>() + TASK.tokens(self.reading)
    }

    /// Whether the model can be asked for single letters.
    fn spells(&self) -> bool {
        let tales = self.tales.tales().iter().chain(self.needles.cases());
        Evaluator::new(&*self.model.tokenizer).spells(tales.map(|tale| &*tale.text))
    }

    /// What the suite costs, by the speed of a few windows.
    fn cost(&self) -> anyhow::Result<String> {
        let _pulse = Pulse::named("measuring the speed of the model");
        let (vocabulary, length) = (self.model.dragon.config().vocab_size, self.reading.block_size);
        let sample = |windows: usize| Tokens {
            ids: (0..=windows * length)
                .map(|at| (at % vocabulary) as u32)
                .collect(),
            starts: vec![0],
            ..Tokens::default()
        };
        let evaluator = Evaluator::new(&*self.model.tokenizer).with_precision(self.args.precision);
        evaluator.evaluate(&self.model.dragon, &sample(1), self.reading, None)?; // the first takes longer
        let (started, sample) = (Instant::now(), sample(4));
        evaluator.evaluate(&self.model.dragon, &sample, self.reading, None)?;
        let speed = (sample.ids.len() - 1) as f64 / started.elapsed().as_secs_f64();
        let tokens = self.tokens();
        Ok(format!(
            "suite: about {} tokens to read, about {} at {} tokens a second",
            count(tokens as u64),
            duration((tokens as f64 / speed).max(1.0)),
            count(speed as u64)
        ))
    }

    fn measure(&self) -> anyhow::Result<Figures> {
        let (started, watched) = (Instant::now(), Watched::new());
        let evaluator = evaluator(self.args, self.model, &watched);
        let dragon = &self.model.dragon;
        let mut texts = Vec::new();
        for (text, tokens) in &self.texts {
            let score = evaluator.score_text(dragon, tokens, self.reading);
            texts.push(TextFigure {
                text: text.clone(),
                score: finite(score?)?,
            });
        }
        let needles = match self.spells() {
            true => evaluator.needle(dragon, &self.needles, self.needle_reading)?,
            false => None,
        };
        Ok(Figures {
            model: self.model.file.clone(),
            step: self.model.info.step,
            model_hash: model_hash(dragon),
            reading: self.reading,
            texts,
            needle_reading: self.needle_reading,
            recall: Part::of(evaluator.score_recall(dragon, &self.tales, self.reading)?),
            needles: Part::of(needles.map(|score| score.by_distance.iter().filter_map(needle).collect())),
            predictability: Part::of(evaluator.predictability(dragon, &TASK, self.reading)?),
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

/// Accuracy at one distance.
fn needle(point: &burn_dragon::api::language::expert::NeedlePoint) -> Option<NeedleFigure> {
    let right = (point.accuracy * point.count as f64).round() as usize;
    Some(NeedleFigure {
        distance: point.distance,
        accuracy: Measured::share(right, point.count)?,
        chance: point.chance,
    })
}

/// Refuses a loss that no figure can be made of.
fn finite(score: TextScore) -> anyhow::Result<TextScore> {
    anyhow::ensure!(
        score.loss.value.is_finite(),
        "the loss is {}: numbers of the model exceed the range of f32 on this text; check the model with `dragon verify \
         MODEL --deep`",
        score.loss.value
    );
    Ok(score)
}

/// Texts that were typed, else the validation data of the model's run; none for a model without a run.
fn texts(
    args: &EvalArgs,
    model: &LanguageModel,
    learnt: &LearntReading,
) -> anyhow::Result<Vec<(String, Tokens)>> {
    if args.texts.is_empty() {
        let Some(run) = &model.run else {
            return Ok(Vec::new());
        };
        let Text { tokens, .. } = held_out(model, run)?;
        check_known(&tokens).context("the validation data of the run")?;
        return Ok(vec![("validation data of the run".into(), tokens)]);
    }
    let separator = learnt.document_separator.clone().filter(|text| !text.is_empty());
    let read = |text: &String| {
        let tokens = of_files(model, text, separator.clone())
            .with_context(|| format!("--text {text}"))?
            .0;
        check_known(&tokens).with_context(|| format!("--text {text}"))?;
        Ok((text.clone(), tokens))
    };
    args.texts.iter().map(read).collect()
}

impl Figures {
    /// How the texts, needles and letters were read, as lines.
    fn readings(&self) -> Vec<String> {
        let mut lines = vec![
            format!("texts and recall: read {}", reading_in_words(self.reading)),
            format!("needles: read {}", reading_in_words(self.needle_reading)),
        ];
        if let Part::Measured(score) = &self.predictability {
            lines.push(format!("letters: read {}", reading_in_words(score.reading)));
        }
        lines
    }

    /// Rows of the table.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.texts.iter().map(TextFigure::row).collect();
        match &self.recall {
            Part::Measured(recall) => {
                let note = format!("{} words; chance {:.0} %", recall.words, 100.0 * recall.chance);
                rows.push(Row::share("recall", "tales", recall.accuracy, "tales").noted(note));
            }
            Part::Absent { absent } => rows.push(Row::absent("recall", absent)),
        }
        match &self.needles {
            Part::Measured(needles) => rows.extend(needles.iter().map(|needle| {
                let of = format!("{} bytes back", needle.distance);
                let note = format!("chance {:.0} %", 100.0 * needle.chance);
                Row::share("needle", of, needle.accuracy, "cases").noted(note)
            })),
            Part::Absent { absent } => rows.push(Row::absent("needle", absent)),
        }
        match &self.predictability {
            Part::Measured(score) => rows.extend(of_letters(score)),
            Part::Absent { absent } => rows.push(Row::absent("predictability", absent)),
        }
        rows
    }
}

impl TextFigure {
    fn row(&self) -> Row {
        let score = &self.score;
        let note = format!("{} bytes, {} tokens", count(score.bytes), count(score.tokens));
        match score.bits_per_byte {
            Some(bits) => Row::number("bits per byte", &*self.text, bits, "windows").noted(note),
            None => Row::number("nats a token", &*self.text, score.loss, "windows").noted(note),
        }
    }
}

/// Rows of the predictability task. The ratios by rotary period are those of level 2, as the paper shows them.
fn of_letters(score: &PredictabilityScore) -> Vec<Row> {
    let mut rows = Vec::new();
    for phase in &score.phases {
        rows.push(Row::share(
            "letters right",
            phase.name,
            phase.accuracy,
            "readings",
        ));
    }
    for phase in &score.phases {
        rows.push(Row::number(
            "bits a letter",
            phase.name,
            phase.bits_per_letter,
            "readings",
        ));
    }
    for (level, figures) in score.levels.iter().enumerate() {
        let level_name = level + 1;
        for phase in &score.phases {
            let of = format!("level {level_name}, {}", phase.name);
            rows.push(Row::share("active y", of, phase.y_density[level], "readings"));
        }
        let of = format!("level {level_name}");
        rows.push(Row::perhaps(
            "first / repeats",
            &*of,
            figures.first_to_repeats,
            "readings",
        ));
        rows.push(Row::perhaps(
            "y with cost, correlation",
            &*of,
            figures.correlation,
            "readings",
        ));
    }
    let shown = 1.min(score.levels.len().saturating_sub(1));
    for period in score.levels.get(shown).iter().flat_map(|level| &level.by_period) {
        let of = format!("level {}, periods {:.0}-{:.0}", shown + 1, period.from, period.to);
        rows.push(Row::perhaps(
            "first / repeats",
            of,
            period.first_to_repeats,
            "readings",
        ));
    }
    rows
}
