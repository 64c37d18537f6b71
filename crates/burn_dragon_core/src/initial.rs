//! Initial weights, and a builder of parameters from weights by name.

use crate::config::{DecayConfig, TrunkConfig};
use crate::positions::{PhaseStart, PopeConfig, Positions};
use crate::seed::{Rng, derive};
use crate::shapes::TensorShape;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

/// Initial weights: drawn from a normal distribution with mean 0 and standard deviation `init_std`. Each tensor is a
/// function of `seed` and its name alone. Slopes that are learnt start at those of the configuration, and most of what a
/// connector or a mixer learns at values of its own.
///
/// For [`Trunk::from_weights`](crate::trunk::Trunk::from_weights), and for the other tensors of a family.
pub fn initial(config: &TrunkConfig, seed: u64) -> impl FnMut(&str, &[usize]) -> TensorData + use<> {
    let (std, decay, connector) = (config.init_std, config.decay.clone(), config.connector.clone());
    let (positions, mixer) = (config.positions, config.read.mixer().cloned());
    let of_connector = move |name: &str, shape: &[usize]| {
        let field = name.strip_prefix("connector.")?;
        let values = connector.initial(field, shape)?;
        Some(TensorData::new(values, shape))
    };
    let of_mixer = move |name: &str, shape: &[usize]| {
        let field = name.strip_prefix("mixer.")?;
        let values = mixer
            .as_ref()?
            .initial(field, shape, &mut Rng::new(derive(seed, name, 0, 0)))?;
        Some(TensorData::new(values, shape))
    };
    move |name, shape| match (name, &decay) {
        ("decay", Some(decay)) => logarithms(decay, shape),
        ("phase", _) if !positions.is_of_pairs() => phases(positions, derive(seed, name, 0, 0), shape),
        _ => of_connector(name, shape)
            .or_else(|| of_mixer(name, shape))
            .unwrap_or_else(|| drawn(std, derive(seed, name, 0, 0), shape)),
    }
}

fn phases(positions: Positions, seed: u64, shape: &[usize]) -> TensorData {
    let mut rng = Rng::new(seed);
    let size = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..size)
        .map(|_| match positions {
            Positions::Pope(PopeConfig {
                phase: PhaseStart::Uniform,
                ..
            }) => (-std::f64::consts::TAU * rng.uniform()) as f32,
            _ => 0.0,
        })
        .collect();
    TensorData::new(values, shape)
}

fn logarithms(decay: &DecayConfig, shape: &[usize]) -> TensorData {
    let logarithms: Vec<f64> = decay.slopes(shape[0]).into_iter().map(f64::ln).collect();
    TensorData::new(logarithms, shape).convert::<f32>()
}

fn drawn(std: f64, seed: u64, shape: &[usize]) -> TensorData {
    let mut rng = Rng::new(seed);
    let size = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..size).map(|_| (rng.normal() * std) as f32).collect();
    TensorData::new(values, shape)
}

/// Builder of a module's parameters, in the shapes that its configuration lists.
pub struct ParameterBuilder<'a, F> {
    tensors: Vec<TensorShape>,
    device: &'a Device,
    weight: F,
}

impl<'a, F: FnMut(&str, &[usize]) -> TensorData> ParameterBuilder<'a, F> {
    /// A builder of the listed tensors on a device. `weight` is called with the name and shape of each.
    pub fn new(tensors: Vec<TensorShape>, device: &'a Device, weight: F) -> Self {
        Self {
            tensors,
            device,
            weight,
        }
    }

    /// Parameter called `name`.
    ///
    /// # Panics
    /// If no such tensor is listed, or its weight has another shape.
    pub fn parameter<const R: usize>(&mut self, name: &str) -> Param<Tensor<R>> {
        self.optional(name)
            .unwrap_or_else(|| panic!("ParameterBuilder: the configuration lists no tensor `{name}`"))
    }

    /// Parameter called `name`; `None` if no such tensor is listed.
    ///
    /// # Panics
    /// If its weight has another shape.
    pub fn optional<const R: usize>(&mut self, name: &str) -> Option<Param<Tensor<R>>> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name)?;
        let data = (self.weight)(name, &tensor.shape);
        assert_eq!(
            **data.shape(),
            *tensor.shape,
            "ParameterBuilder: the weight `{name}` does not have the listed shape"
        );
        Some(Param::from_data(data, self.device))
    }
}
