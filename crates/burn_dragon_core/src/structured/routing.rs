//! Routes: which bank's tokens read and write which bank's memories, how, and in which modes.

use super::{BankShape, RoutingError, StepMode};
use burn_dragon_kernel::api::{Grid, Neighbourhood};

/// Direction of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Tokens of the source read memories of the target.
    Read,
    /// Tokens of the source write to memories of the target.
    Write,
}

impl Access {
    /// `read` or `write`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Way of a route: the memories of the target that a token of the source has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// That of the same number.
    Identity,
    /// Those of its neighbours on the grid; reads only.
    Local(Neighbourhood),
    /// That of the cell that it lies in: cell `(y / stride, x / stride)`. A write sums the tokens of a cell, a read takes the
    /// cell's memory.
    Cell {
        /// Number of places along a side of a cell.
        stride: usize,
    },
    /// All of them.
    Dense,
}

impl Via {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Local(_) => "local",
            Self::Cell { .. } => "cell",
            Self::Dense => "dense",
        }
    }
}

/// A route between banks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Name of the bank whose tokens read or write.
    pub source: String,
    /// Name of the bank whose memories are read or written.
    pub target: String,
    /// Direction.
    pub access: Access,
    /// Way.
    pub via: Via,
    /// Modes in which it is used.
    pub modes: Vec<StepMode>,
}

impl Route {
    /// A route that is used in all modes.
    pub fn new(source: impl Into<String>, target: impl Into<String>, access: Access, via: Via) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            access,
            via,
            modes: StepMode::ALL.to_vec(),
        }
    }

    /// The same route in some modes only.
    pub fn in_modes(self, modes: &[StepMode]) -> Self {
        Self {
            modes: modes.to_vec(),
            ..self
        }
    }
}

impl std::fmt::Display for Route {
    /// `patch -> coarse (read, cell)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (access, via) = (self.access.name(), self.via.name());
        write!(f, "{} -> {} ({access}, {via})", self.source, self.target)
    }
}

/// Banks, and the routes between them. All routes of a step read the memories before its writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Routing {
    banks: Vec<BankShape>,
    routes: Vec<Route>,
}

impl Routing {
    /// Banks and routes that fit together.
    ///
    /// # Errors
    /// If two banks have the same name, a bank is empty, or a route does not fit its banks.
    pub fn new(banks: Vec<BankShape>, routes: Vec<Route>) -> Result<Self, RoutingError> {
        let routing = Self { banks, routes };
        for (index, bank) in routing.banks.iter().enumerate() {
            routing.check_bank(index, bank)?;
        }
        for (index, route) in routing.routes.iter().enumerate() {
            routing.check_route(route)?;
            routing.check_once(index, route)?;
        }
        Ok(routing)
    }

    /// Shapes of the banks.
    pub fn banks(&self) -> &[BankShape] {
        &self.banks
    }

    /// All routes.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Routes of a mode.
    pub fn in_mode(&self, mode: StepMode) -> impl Iterator<Item = &Route> {
        self.routes
            .iter()
            .filter(move |route| route.modes.contains(&mode))
    }

    /// A bank.
    pub(super) fn bank(&self, name: &str) -> Option<&BankShape> {
        self.banks.iter().find(|bank| bank.name == name)
    }

    fn check_bank(&self, index: usize, bank: &BankShape) -> Result<(), RoutingError> {
        let name = || bank.name.clone();
        if self.banks[..index].iter().any(|other| other.name == bank.name) {
            return Err(RoutingError::TwoBanks { name: name() });
        }
        let sizes = [
            ("places", bank.places.count()),
            ("heads", bank.heads),
            ("neurons", bank.neurons),
            ("columns", bank.width),
            ("stream columns", bank.stream.unwrap_or(1)),
        ];
        match sizes.into_iter().find(|(_, size)| *size == 0) {
            None => Ok(()),
            Some((what, _)) => Err(RoutingError::Empty { name: name(), what }),
        }
    }

    fn check_route(&self, route: &Route) -> Result<(), RoutingError> {
        let (source, target) = (
            self.bank_of(route, &route.source)?,
            self.bank_of(route, &route.target)?,
        );
        match route.via {
            Via::Dense => Ok(()),
            Via::Identity => {
                let [source_places, target_places] = [source, target].map(|bank| bank.places.count());
                if source_places == target_places {
                    return Ok(());
                }
                Err(RoutingError::Places {
                    route: route.to_string(),
                    source_places,
                    target_places,
                })
            }
            Via::Local(_) => check_local(route, source),
            Via::Cell { stride } => cells_of(route, source, target, stride).map(|_| ()),
        }
    }

    fn bank_of(&self, route: &Route, name: &str) -> Result<&BankShape, RoutingError> {
        self.bank(name).ok_or_else(|| RoutingError::NoSuchBank {
            route: route.to_string(),
            name: name.into(),
            banks: self.banks.iter().map(|bank| bank.name.clone()).collect(),
        })
    }

    fn check_once(&self, index: usize, route: &Route) -> Result<(), RoutingError> {
        let key = |route: &Route| {
            (
                route.source.clone(),
                route.target.clone(),
                route.access,
                route.via.name(),
            )
        };
        let others = self.routes[..index]
            .iter()
            .filter(|other| key(other) == key(route));
        let of = |mode: &StepMode| others.clone().any(|other| other.modes.contains(mode));
        let count = |mode: &StepMode| route.modes.iter().filter(|other| *other == mode).count();
        match route.modes.iter().find(|mode| of(mode) || count(mode) > 1) {
            None => Ok(()),
            Some(mode) => Err(RoutingError::Twice {
                route: route.to_string(),
                mode: mode.name(),
            }),
        }
    }
}

fn grid_of(route: &Route, bank: &BankShape) -> Result<Grid, RoutingError> {
    bank.places.grid().ok_or_else(|| RoutingError::NoGrid {
        route: route.to_string(),
        name: bank.name.clone(),
    })
}

/// Neighbours are on a grid, of the same bank, and read.
fn check_local(route: &Route, bank: &BankShape) -> Result<(), RoutingError> {
    grid_of(route, bank)?;
    if route.source != route.target {
        return Err(RoutingError::NotWithinABank {
            route: route.to_string(),
        });
    }
    match route.access {
        Access::Read => Ok(()),
        Access::Write => Err(RoutingError::Way {
            route: route.to_string(),
            way: route.via.name(),
            expected: Access::Read.name(),
        }),
    }
}

/// The grid of the source, if the target is the grid of its cells.
pub(super) fn cells_of(
    route: &Route,
    source: &BankShape,
    target: &BankShape,
    stride: usize,
) -> Result<Grid, RoutingError> {
    let (fine, given) = (grid_of(route, source)?, grid_of(route, target)?);
    if stride == 0 {
        return Err(RoutingError::Stride {
            route: route.to_string(),
        });
    }
    let expected = Grid::new(fine.height.div_ceil(stride), fine.width.div_ceil(stride));
    if given == expected {
        return Ok(fine);
    }
    Err(RoutingError::Cells {
        route: route.to_string(),
        name: target.name.clone(),
        fine,
        stride,
        given,
        expected,
    })
}
