//! Time and memory of reads and writes of the memories of a graph, for `scripts/compare_graph.py`.
//!
//! A line of standard input is a form (`fast` or `reference`), an operation (`read`, `write` or `history`), a number of
//! edges, and `time` or `memory`. The answer is the time of a forward and a backward pass in milliseconds, or the memory
//! that they take beside their inputs, in MiB.

use burn::tensor::{Device, Distribution, Tensor};
use burn_dragon_kernel::api::expert::graph_reference as reference;
use burn_dragon_kernel::api::graph::{
    Adjacency, Edges, History, Normalisation, PlaceDecay, SelfEdges, graph_read, graph_write,
};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

/// Edges of a place, on average.
const DEGREE: usize = 8;
const HEADS: usize = 4;
const NEURONS: usize = 32;
const WIDTH: usize = 32;
/// Neurons, width and writes of a history.
const OF_HISTORY: [usize; 3] = [128, 64, 4];

type Fault = Box<dyn std::error::Error>;

/// Tensors of an operation on a graph.
struct Inputs {
    q: Tensor<4>,
    v: Tensor<4>,
    rho: Option<Tensor<5>>,
    writes: Vec<(Tensor<4>, Tensor<4>)>,
    edges: Edges,
}

fn main() -> Result<(), Fault> {
    let mut known = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [form, operation, edges, what] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("`{line}` is not FORM OPERATION EDGES time|memory").into());
        };
        let count: usize = edges.parse()?;
        let key = (operation.to_owned(), count);
        if !known.contains_key(&key) {
            known.clear();
            known.insert(key.clone(), inputs(operation, count)?);
        }
        let answer = match what {
            "memory" => memory(form, operation, &known[&key])?,
            _ => {
                burn_dragon_kernel::api::machine::keep_freed_memory();
                time(form, operation, &known[&key])?
            }
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Inputs with half of the neurons silent. The edges are those of the script: the same congruences.
fn inputs(operation: &str, count: usize) -> Result<Inputs, Fault> {
    let (places, device) = ((count / DEGREE).max(1), Device::flex().autodiff());
    let mut state = 1_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % places
    };
    let list: Vec<_> = (0..count).map(|_| (draw(), draw())).collect();
    let is_history = operation == "history";
    let [neurons, width, writes] = if is_history {
        OF_HISTORY
    } else {
        [NEURONS, WIDTH, 0]
    };
    let uniform = Distribution::Uniform(-1.0, 1.0);
    let activity = || {
        let drawn = Tensor::<4>::random([1, HEADS, places, neurons], uniform, &device);
        drawn.clamp_min(0.0).detach().require_grad()
    };
    let value = || Tensor::<4>::random([1, 1, places, width], uniform, &device).require_grad();
    let rho = || Tensor::<5>::random([1, HEADS, places, neurons, width], uniform, &device).require_grad();
    Ok(Inputs {
        q: activity(),
        v: value(),
        rho: (!is_history).then(rho),
        writes: (0..writes).map(|_| (activity(), value())).collect(),
        edges: Edges::new(
            Adjacency::from_edges(places, &list, SelfEdges::Keep)?,
            Normalisation::Mean,
        ),
    })
}

/// The output of an operation, as a sum: its gradient is 1 everywhere.
fn output(form: &str, operation: &str, inputs: &Inputs) -> Result<Tensor<1>, Fault> {
    let Inputs { q, v, edges, .. } = inputs;
    let (q, v, decay) = (q.clone(), v.clone(), PlaceDecay::default());
    Ok(match (operation, inputs.rho.clone(), form) {
        ("read", Some(rho), "fast") => graph_read(q, rho, edges).sum(),
        ("read", Some(rho), _) => reference::graph_read(q, rho, edges).sum(),
        ("write", Some(rho), "fast") => graph_write(q, v, rho, edges, &decay).sum(),
        ("write", Some(rho), _) => reference::graph_write(q, v, rho, edges, &decay).sum(),
        ("history", None, "fast") => {
            let mut history = History::empty(v.dims()[3], decay);
            for (keys, values) in &inputs.writes {
                history.write(keys.clone(), values.clone());
            }
            history.read(q, edges).sum()
        }
        ("history", None, _) => {
            let reads = inputs.writes.iter().map(|(keys, values)| {
                reference::graph_recall(q.clone(), keys.clone(), values.clone(), edges, &decay)
            });
            reads.reduce(|sum, read| sum + read).ok_or("no writes")?.sum()
        }
        _ => return Err(format!("no operation `{operation}`; there are read, write and history").into()),
    })
}

/// A forward and a backward pass, in milliseconds.
fn time(form: &str, operation: &str, inputs: &Inputs) -> Result<f64, Fault> {
    let started = Instant::now();
    let found = output(form, operation, inputs)?.backward();
    std::hint::black_box(inputs.q.grad(&found));
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// The most memory of a forward and a backward pass beside their inputs, in MiB; the kernel of the system counts it.
fn memory(form: &str, operation: &str, inputs: &Inputs) -> Result<f64, Fault> {
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = resident("VmRSS:")?;
    time(form, operation, inputs)?;
    Ok((resident("VmHWM:")? - before) / 1024.0)
}

/// A line of the status of this process, in KiB.
fn resident(name: &str) -> Result<f64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no such line")?.parse()?)
}
