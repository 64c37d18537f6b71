//! What a run is asked to be, and the configuration that asks for it.

use std::fmt::Write;

/// The shape of a model.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) d_model: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_neurons: usize,
    pub(crate) n_levels: usize,
    pub(crate) dropout: f64,
    pub(crate) rope_theta: f64,
    pub(crate) norm_eps: f64,
    pub(crate) init_std: f64,
    pub(crate) decay: Option<Decay>,
}

impl Shape {
    /// Of one head.
    pub(crate) fn neurons(&self) -> usize {
        self.n_neurons / self.n_heads
    }
}

/// How memory fades, head by head.
#[derive(Clone, Debug)]
pub(crate) struct Decay {
    pub(crate) slopes: Vec<f64>,
    pub(crate) learnable: bool,
}

/// What gradients flow back through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Credit {
    Full,
    Queries,
}

/// How factors of products are rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Precision {
    F32,
    Bf16,
}

/// Where windows start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Windows {
    Anywhere,
    Document,
    InOrder,
}

/// Memory that goes on from step to step.
#[derive(Clone, Debug)]
pub(crate) struct Streaming {
    pub(crate) persistent: f64,
    pub(crate) in_order: bool,
    pub(crate) max_context: Option<usize>,
    pub(crate) unroll: usize,
    pub(crate) backprop: usize,
    /// Window lengths and their weights, which have nothing in common; none where all are `block_size` long.
    pub(crate) scales: &'static [(usize, u64)],
}

impl Default for Streaming {
    fn default() -> Self {
        Self {
            persistent: 1.0,
            in_order: false,
            max_context: None,
            unroll: 1,
            backprop: 1,
            scales: &[],
        }
    }
}

/// Parameters that are treated otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) parameters: &'static [&'static str],
    pub(crate) learning_rate_factor: f64,
    pub(crate) weight_decay: Option<f64>,
}

/// The learning rate over the steps, as docs/configuration.md has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schedule {
    Constant { warmup: u64 },
    Linear { warmup: u64, last: f64 },
    Cosine { warmup: u64, last: f64 },
    Exponential { warmup: u64, gamma: f64 },
    Step { warmup: u64, size: u64, gamma: f64 },
    Noam { warmup: u64 },
    Wsd { warmup: u64, decay: u64, last: f64 },
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) shape: Shape,
    pub(crate) windows: Windows,
    pub(crate) seed: u64,
    pub(crate) batch_size: usize,
    pub(crate) block_size: usize,
    pub(crate) accumulate: usize,
    pub(crate) steps: u64,
    /// Passes over the text, which then set the steps.
    pub(crate) epochs: Option<f64>,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) precision: Precision,
    pub(crate) credit: Credit,
    pub(crate) streams: Option<Streaming>,
    pub(crate) learning_rate: f64,
    pub(crate) beta_1: f64,
    pub(crate) beta_2: f64,
    pub(crate) eps: f64,
    pub(crate) weight_decay: f64,
    pub(crate) groups: Vec<Group>,
    pub(crate) schedule: Schedule,
    /// Steps between two evaluations, and batches of each.
    pub(crate) evaluation: (u64, usize),
    /// Steps between two lines of figures.
    pub(crate) log_every: u64,
    /// Steps between two checkpoints, none for 0, and how many are kept.
    pub(crate) checkpoint: (u64, usize),
}

impl Settings {
    /// A small run with everything in it that every run may have: two micro-steps, dropout, a norm that is clipped at
    /// most steps, decay that not all parameters share.
    ///
    /// The width is no multiple of a vector's length, so that the processor's products are of the dense kind on every
    /// machine. `eps` is as large as a gradient, so that an update is smooth in it: where it is tiny, the first update of
    /// an entry has the size of the learning rate and the sign of a rounding error.
    pub(crate) fn base() -> Self {
        Self {
            shape: Shape {
                d_model: 10,
                n_heads: 2,
                n_neurons: 36,
                n_levels: 2,
                dropout: 0.2,
                rope_theta: 100.0,
                norm_eps: 0.3,
                init_std: 0.3,
                decay: None,
            },
            windows: Windows::Anywhere,
            seed: 1337,
            batch_size: 2,
            block_size: 16,
            accumulate: 2,
            steps: 36,
            epochs: None,
            clip_norm: Some(0.5),
            precision: Precision::F32,
            credit: Credit::Full,
            streams: None,
            learning_rate: 1e-2,
            beta_1: 0.9,
            beta_2: 0.95,
            eps: 1e-3,
            weight_decay: 0.3,
            groups: Vec::new(),
            schedule: Schedule::Linear { warmup: 6, last: 0.1 },
            evaluation: (12, 2),
            log_every: 1,
            checkpoint: (0, 2),
        }
    }

    /// The configuration that asks for this run on these files.
    pub(crate) fn toml(&self, train: &str, held_out: &str) -> String {
        let shape = &self.shape;
        let mut text = format!(
            "[dataset]\ntype = \"text\"\npaths = [{train:?}]\nvalidation = {{ type = \"text\", paths = [{held_out:?}] }}\n\
             windows = \"{}\"\ntokenizer = {{ type = \"char\" }}\n\
             [generation]\nprompt = \"b\"\n\
             [checkpoint]\nevery = {}\nkeep = {}\n\
             [evaluation]\nevery = {}\nbatches = {}\nsample_every = 0\n\
             [model]\nd_model = {}\nn_heads = {}\nn_neurons = {}\nn_levels = {}\ndropout = {:?}\nrope_theta = {:?}\n\
             norm_eps = {:?}\ninit_std = {:?}\n",
            match self.windows {
                Windows::Anywhere => "anywhere",
                Windows::Document => "document",
                Windows::InOrder => "in_order",
            },
            self.checkpoint.0,
            self.checkpoint.1,
            self.evaluation.0,
            self.evaluation.1,
            shape.d_model,
            shape.n_heads,
            shape.n_neurons,
            shape.n_levels,
            shape.dropout,
            shape.rope_theta,
            shape.norm_eps,
            shape.init_std,
        );
        let mut add = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").unwrap_or_else(|_| unreachable!("a string takes every line"));
        };
        if let Some(Decay { slopes, learnable }) = &shape.decay {
            add(format_args!(
                "decay = {{ type = \"custom\", slopes = {slopes:?}, learnable = {learnable} }}"
            ));
        }
        add(format_args!(
            "[sequence]\nblock_size = {}\ncredit = \"{}\"",
            self.block_size,
            match self.credit {
                Credit::Full => "full",
                Credit::Queries => "queries",
            },
        ));
        add(format_args!(
            "[training]\nseed = {}\nbatch_size = {}\naccumulate = {}\nmax_steps = {}\nlog_every = {}\n\
             precision = \"{}\"",
            self.seed,
            self.batch_size,
            self.accumulate,
            self.steps,
            self.log_every,
            match self.precision {
                Precision::F32 => "f32",
                Precision::Bf16 => "bf16",
            },
        ));
        if let Some(epochs) = self.epochs {
            add(format_args!("epochs = {epochs:?}"));
        }
        if let Some(limit) = self.clip_norm {
            add(format_args!("clip_norm = {limit:?}"));
        }
        if let Some(streams) = &self.streams {
            add(format_args!(
                "[sequence.streams]\npersistent = {:?}\norder = \"{}\"\nunroll = {}\nbackprop = {}",
                streams.persistent,
                if streams.in_order { "in_order" } else { "shuffled" },
                streams.unroll,
                streams.backprop,
            ));
            let scale =
                |(length, weight): &(usize, u64)| format!("{{ block_size = {length}, weight = {weight} }}");
            if !streams.scales.is_empty() {
                let scales: Vec<String> = streams.scales.iter().map(scale).collect();
                add(format_args!("scales = [{}]", scales.join(", ")));
            }
            if let Some(tokens) = streams.max_context {
                add(format_args!("max_context = {tokens}"));
            }
        }
        add(format_args!("[schedule]\n{}", self.schedule.toml()));
        add(format_args!(
            "[optimizer]\nlearning_rate = {:?}\nbeta_1 = {:?}\nbeta_2 = {:?}\neps = {:?}\nweight_decay = {:?}",
            self.learning_rate, self.beta_1, self.beta_2, self.eps, self.weight_decay
        ));
        for group in &self.groups {
            add(format_args!(
                "[[optimizer.groups]]\nparameters = {:?}\nlearning_rate_factor = {:?}",
                group.parameters, group.learning_rate_factor
            ));
            if let Some(decay) = group.weight_decay {
                add(format_args!("weight_decay = {decay:?}"));
            }
        }
        text
    }
}

impl Schedule {
    fn toml(self) -> String {
        match self {
            Self::Constant { warmup } => format!("type = \"constant\"\nwarmup_steps = {warmup}"),
            Self::Linear { warmup, last } => {
                format!("type = \"linear\"\nwarmup_steps = {warmup}\nfinal_factor = {last:?}")
            }
            Self::Cosine { warmup, last } => {
                format!("type = \"cosine\"\nwarmup_steps = {warmup}\nfinal_factor = {last:?}")
            }
            Self::Exponential { warmup, gamma } => {
                format!("type = \"exponential\"\nwarmup_steps = {warmup}\ngamma = {gamma:?}")
            }
            Self::Step { warmup, size, gamma } => {
                format!("type = \"step\"\nwarmup_steps = {warmup}\nstep_size = {size}\ngamma = {gamma:?}")
            }
            Self::Noam { warmup } => format!("type = \"noam\"\nwarmup_steps = {warmup}"),
            Self::Wsd { warmup, decay, last } => {
                format!(
                    "type = \"wsd\"\nwarmup_steps = {warmup}\ndecay_steps = {decay}\nfinal_factor = {last:?}"
                )
            }
        }
    }
}
