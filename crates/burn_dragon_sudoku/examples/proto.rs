#![allow(missing_docs, clippy::all)]
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::module::Module;
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_sudoku::api::*;
use burn_dragon_sudoku::api::expert::*;
use burn_dragon_sudoku::proto::*;
use burn_dragon_train::api::*;
use burn_dragon_train::api::expert::GradientSet;
use std::collections::HashMap;
use std::time::Instant;

fn main() {
    let args: HashMap<String, String> = std::env::args().skip(1).map(|a| { let (k, v) = a.split_once('=').unwrap(); (k.to_string(), v.to_string()) }).collect();
    let get = |k: &str, d: f64| args.get(k).map_or(d, |v| v.parse().unwrap());
    let config = ModelConfig { d_model: get("d", 64.) as usize, n_heads: get("h", 4.) as usize, n_neurons: get("n", 512.) as usize, n_levels: get("l", 4.) as usize, norm_eps: 1e-5, init_std: get("std", 0.02) };
    let device = Device::flex();
    let ad = device.clone().autodiff();
    let gen_config = GeneratorConfig { puzzles: get("puzzles", 5000.) as usize, validation_puzzles: 200, givens: [get("g0", 36.) as usize, get("g1", 50.) as usize], solved_by: if get("naked", 0.) > 0. { SolvedBy::NakedSingles } else { SolvedBy::Singles }, seed: 0 };
    let t = Instant::now();
    let puzzles = DatasetConfig::Embedded(gen_config).load().unwrap();
    println!("{} puzzles in {:?}", puzzles.train.len(), t.elapsed());
    let mut model = SudokuModel::new(&config, 1337, &ad);
    let oc = OptimizerConfig { learning_rate: get("lr", 4e-3), beta_2: get("b2", 0.99), weight_decay: get("wd", 0.1), ..Default::default() };
    let mut opt = AdamW::new(&oc, &model).unwrap();
    let (b, steps) = (get("b", 32.) as usize, get("steps", 1000.) as usize);
    let every = get("every", 100.) as usize;
    let aug = get("aug", 1.) > 0.;
    let last = get("last", 0.) > 0.;
    let seconds = get("seconds", 1e9);
    let start = Instant::now();
    let mut sum = 0.0; let mut count = 0;
    for step in 0..steps {
        let mut rng = Rng::new(derive(1, "batch", step as u64, 0));
        let pairs: Vec<Pair> = (0..b).map(|_| { let p = puzzles.train[rng.below(puzzles.train.len())]; if aug { let s = Symmetry::draw(&mut rng); Pair { puzzle: s.apply(&p.puzzle), solution: s.apply(&p.solution) } } else { p } }).collect();
        let grids: Vec<Grid> = pairs.iter().map(|p| p.puzzle).collect();
        let (idx, tgt) = empties(&pairs);
        let e = idx.len();
        let idx = Tensor::<1, Int>::from_data(TensorData::new(idx, [e]), &ad);
        let tgt = Tensor::<2, Int>::from_data(TensorData::new(tgt, [1, e]), &ad);
        let streams = model.streams(&grids, config.n_levels);
        let n = streams.len();
        let losses: Vec<Tensor<1>> = streams.into_iter().enumerate().filter(|(i, _)| !last || i + 1 == n).map(|(_, v)| {
            let l = model.logits(v).select(0, idx.clone()).reshape([1, e, 9]);
            cross_entropy(l, tgt.clone())
        }).collect();
        let k = losses.len() as f64;
        let loss = losses.into_iter().reduce(|a, b| a + b).unwrap() / k;
        let value = loss.clone().into_scalar::<f64>();
        sum += value; count += 1;
        let mut g = GradientSet::default();
        g.add(loss.backward(), &model);
        let norm = g.norm();
        let g = g.clip(norm, 1.0);
        let warm = ((step + 1) as f64 / 50.0).min(1.0);
        let frac = (step as f64 / steps as f64).max(start.elapsed().as_secs_f64() / seconds);
        let factor = warm * (1.0 - 0.9 * frac);
        model = opt.step(model, g, factor);
        let over = start.elapsed().as_secs_f64() > seconds;
        if (step + 1) % every == 0 || step + 1 == steps || over {
            let m = model.valid();
            let acc = evaluate(&m, &puzzles.validation, 2 * config.n_levels);
            let s: Vec<String> = acc.iter().map(|(c, s)| format!("{:.3}/{:.2}", c, s)).collect();
            println!("step {} loss {:.4} {:.1}s  {}", step + 1, sum / count as f64, start.elapsed().as_secs_f64(), s.join(" "));
            sum = 0.0; count = 0;
        }
        if over { break; }
    }
}

fn empties(pairs: &[Pair]) -> (Vec<i32>, Vec<i32>) {
    let (mut idx, mut tgt) = (vec![], vec![]);
    for (i, p) in pairs.iter().enumerate() {
        for c in p.puzzle.empty_cells() { idx.push((i * 81 + c) as i32); tgt.push(p.solution.cells()[c] as i32 - 1); }
    }
    (idx, tgt)
}

fn evaluate(m: &SudokuModel, pairs: &[Pair], levels: usize) -> Vec<(f64, f64)> {
    let grids: Vec<Grid> = pairs.iter().map(|p| p.puzzle).collect();
    m.streams(&grids, levels).into_iter().map(|v| {
        let best = m.logits(v).argmax(1).into_data().convert::<i64>();
        let best: Vec<i64> = best.iter::<i64>().collect();
        let (mut right, mut all, mut solved) = (0, 0, 0);
        for (i, p) in pairs.iter().enumerate() {
            let mut ok = true;
            for c in p.puzzle.empty_cells() { all += 1; if best[i * 81 + c] + 1 == p.solution.cells()[c] as i64 { right += 1 } else { ok = false } }
            solved += ok as usize;
        }
        (right as f64 / all as f64, solved as f64 / pairs.len() as f64)
    }).collect()
}
