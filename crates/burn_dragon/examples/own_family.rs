//! Your own family: a model that learns a curve, is saved, resumed, and exported in parts.
//! `cargo run --release --example own_family`

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burn_dragon::api::{checkpoint::*, expert::core::Rng, train::*};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, path::PathBuf};

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "burn_dragon::api::train::schemars")]
struct CurveConfig {
    /// Number of sines.
    waves: usize,
    /// Seed, batch, steps.
    training: TrainingConfig,
    /// Updates of the weights.
    optimizer: OptimizerConfig,
}

const RUN: &str = "waves = 4\ntraining = {}\noptimizer = { learning_rate = 0.05, weight_decay = 0.0 }";

struct Curves;
struct CurveTask(CurveConfig, Device);

/// `f(x) = sum over k of weights_k sin(k x)`.
#[derive(Module, Debug)]
struct Curve {
    weights: Param<Tensor<1>>,
}

impl Curve {
    /// Mean squared distance to the target curve, `sin x + sin(3 x) / 2`.
    fn loss(&self, x: &[f64]) -> Tensor<1> {
        let (weights, waves) = (self.weights.val(), self.weights.dims()[0]);
        let losses = x.iter().map(|x| {
            let sines: Vec<f32> = (1..=waves).map(|k| (k as f64 * x).sin() as f32).collect();
            let f = (Tensor::from_floats(sines.as_slice(), &weights.device()) * weights.clone()).sum();
            (f - (x.sin() + 0.5 * (3.0 * x).sin())).powi_scalar(2)
        });
        Tensor::cat(losses.collect(), 0).mean()
    }
}

impl Task for CurveTask {
    type Model = Curve;
    type Batch = Vec<f64>;
    type Cursor = ();
    type Carry = ();

    fn new_model(&self) -> Result<Curve, TrainError> {
        let weights = Param::from_tensor(Tensor::zeros([self.0.waves], &self.1));
        Ok(Curve { weights })
    }
    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }
    fn carry(&self, _: &Curve) -> Result<(), TrainError> {
        Ok(())
    }
    fn batch(&self, at: DataPosition, (): &mut ()) -> Result<Vec<f64>, TrainError> {
        let units = at.units..at.units + self.units_per_batch();
        Ok(units.map(|index| 6.0 * Rng::new(index).uniform()).collect())
    }
    fn loss(&self, model: &Curve, x: Vec<f64>, (): &mut (), _: LossContext) -> Result<Loss, TrainError> {
        Ok(Loss::of(model.loss(&x)))
    }
    fn evaluate(&self, model: &Curve, _: Scope) -> Result<Evaluation, TrainError> {
        let loss = model.loss(&[0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
        Ok(Evaluation::of(loss.into_scalar()))
    }
    fn identity(&self) -> Identity {
        Identity::of_settings(Self::keys().kept(&self.0))
    }
    fn units_per_batch(&self) -> u64 {
        self.0.training.batch_size as u64
    }
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let shape = json!({ "waves": self.0.waves });
        save_model(&Curves, &shape, state.model, (state.step, state.units))
    }
    fn restore(&self, model: Curve, folder: &Path) -> Result<Curve, TrainError> {
        read_model(&Curves, &json!({ "waves": self.0.waves }), model, folder)
    }
}

impl ModelKind for Curves {
    fn family(&self) -> &'static str {
        Self::NAME
    }
    fn unit(&self) -> &'static str {
        "points"
    }
    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        let waves = config["waves"].as_u64().ok_or("`waves` is no whole number")?;
        Ok(vec![TensorSpec::float("weights", [waves as usize])])
    }
    fn shape(&self, config: &Value) -> String {
        format!("{} waves", config["waves"])
    }
    fn probe(&self, file: ModelFile, _: &Path, _: &Device) -> Result<String, CheckpointError> {
        Ok(format!("{} tensor", file.into_floats().len()))
    }
    fn card(&self, _: &ModelFile, _: &str) -> CardText {
        CardText::default()
    }
}

impl Family for Curves {
    const NAME: &'static str = "curve";
    const BASE: Base = Base::new("curve.toml", RUN, 1.0);
    type Config = CurveConfig;
    type Task = CurveTask;

    fn kind() -> &'static dyn ModelKind {
        &Self
    }
    fn plan(config: &CurveConfig) -> Plan {
        Plan::new(&config.training, &config.optimizer)
    }
    fn task(config: &mut CurveConfig, at: &At<'_>) -> Result<CurveTask, TrainError> {
        Ok(CurveTask(config.clone(), at.device.clone()))
    }
}

fn train(new: Option<&PathBuf>, on: Option<&PathBuf>, steps: u64) -> Result<Ran, TrainError> {
    let mut request = RunRequest::default();
    (request.out, request.resume, request.max_steps) = (new.cloned(), on.cloned(), Some(steps));
    run::<Curves>(&request)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("own_family_{}", std::process::id()));
    let [whole, again] = ["whole", "again"].map(|name| folder.join(name));
    train(Some(&whole), None, 200)?;
    train(Some(&again), None, 100)?;
    train(None, Some(&again), 200)?;
    let model = |run: &Path| ModelFile::read(&run.join("checkpoint/step-000200/model.bpk"));
    let [uninterrupted, resumed] = [model(&whole)?.hash(), model(&again)?.hash()];
    assert_eq!(uninterrupted, resumed, "a resumed run ends in other weights");
    let max_part_bytes = Some(8);
    let options = ExportOptions {
        max_part_bytes,
        ..Default::default()
    };
    let exported = export(model(&whole)?, &folder.join("curve.bpk"), options)?;
    let parts = read_parts(&exported.manifest.ok_or("no parts were written")?, |_| {})?;
    parts.check(Curves::kind(), &exported.file)?;
    let weights: Vec<f32> = parts.into_floats()["weights"].iter::<f32>().collect();
    println!("learnt {weights:.3?}, to be [1, 0, 0.5, 0]");
    assert!((weights[0] - 1.0).abs() < 0.05 && (weights[2] - 0.5).abs() < 0.05);
    Ok(std::fs::remove_dir_all(&folder)?)
}
