//! Errors of structured states and of routes.

use burn_dragon_kernel::api::Grid;

/// Error of a structured state that does not fit its banks, the lanes or another state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StructuredError {
    /// A bank does not exist.
    #[error("there is no bank `{given}`; the state has {}", .banks.join(", "))]
    NoSuchBank {
        /// The name given.
        given: String,
        /// Names of the state's banks.
        banks: Vec<String>,
    },
    /// The banks of two states, or of a state and its shapes, differ.
    #[error("the banks are {}, expected {}; use the state with the model that made it", .given.join(", "), .expected.join(", "))]
    Banks {
        /// Names given.
        given: Vec<String>,
        /// Names expected.
        expected: Vec<String>,
    },
    /// A tensor of a bank has another shape.
    #[error(
        "the {part} of bank `{bank}` has shape {given:?}, expected {expected:?}; use the state with the model that made it"
    )]
    Shape {
        /// Name of the bank.
        bank: String,
        /// `memory` or `stream`.
        part: &'static str,
        /// The shape given.
        given: Vec<usize>,
        /// The shape expected.
        expected: Vec<usize>,
    },
    /// The numbers of lanes differ.
    #[error("{given} lanes, expected {expected}; give a state of as many lanes as the input has")]
    Lanes {
        /// Number given.
        given: usize,
        /// Number expected.
        expected: usize,
    },
    /// A lane does not exist.
    #[error("lane {lane} does not exist; the state has {lanes} lanes, counted from 0")]
    NoSuchLane {
        /// The lane given, from 0.
        lane: usize,
        /// Number of lanes of the state.
        lanes: usize,
    },
    /// No lanes or no states were given.
    #[error("no lanes were given; give at least one")]
    NoLanes,
    /// A stored tensor is missing.
    #[error("there is no tensor `{name}` among the stored ones; the file is of another model")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A stored tensor belongs to no bank.
    #[error("the stored tensor `{name}` belongs to no bank; the file is of another model")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A stored tensor is not f32, f16, bf16 or f64.
    #[error("the stored tensor `{name}` is {given}, expected a float type")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        given: String,
    },
}

/// Error of routes that do not fit the banks, or that nothing executes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// Two banks have the same name.
    #[error("two banks are called `{name}`; give each bank a name of its own")]
    TwoBanks {
        /// The name.
        name: String,
    },
    /// A size of a bank is 0.
    #[error("bank `{name}` has 0 {what}, expected at least 1")]
    Empty {
        /// Name of the bank.
        name: String,
        /// What there is none of.
        what: &'static str,
    },
    /// A route names a bank that does not exist.
    #[error("route {route}: there is no bank `{name}`; there are {}", .banks.join(", "))]
    NoSuchBank {
        /// The route.
        route: String,
        /// The name given.
        name: String,
        /// Names of the banks.
        banks: Vec<String>,
    },
    /// A route needs a grid.
    #[error("route {route}: bank `{name}` is no grid, and has neither neighbours nor regions")]
    NoGrid {
        /// The route.
        route: String,
        /// Name of the bank.
        name: String,
    },
    /// A route between the places of a bank names two banks.
    #[error(
        "route {route}: neighbours are of one bank, expected the same bank twice; use a pool or a broadcast between two"
    )]
    NotWithinABank {
        /// The route.
        route: String,
    },
    /// The banks of a route from place to place have different numbers of places.
    #[error("route {route}: {source_places} places and {target_places} places, expected the same number")]
    Places {
        /// The route.
        route: String,
        /// Places of the source.
        source_places: usize,
        /// Places of the target.
        target_places: usize,
    },
    /// The grids of a route between scales do not fit its stride.
    #[error(
        "route {route}: a grid of {} x {} with stride {stride} has {} x {} cells, but bank `{name}` has {} x {}",
        .fine.height, .fine.width, .expected.height, .expected.width, .given.height, .given.width
    )]
    Cells {
        /// The route.
        route: String,
        /// Name of the bank of cells.
        name: String,
        /// The grid of patches.
        fine: Grid,
        /// The stride given.
        stride: usize,
        /// The grid of cells given.
        given: Grid,
        /// The grid of cells that the stride gives.
        expected: Grid,
    },
    /// A stride is 0.
    #[error("route {route}: the stride is 0, expected at least 1")]
    Stride {
        /// The route.
        route: String,
    },
    /// A route reads by a way of writing, or writes by a way of reading.
    #[error("route {route}: {way} is a way to {expected}")]
    Way {
        /// The route.
        route: String,
        /// The way given.
        way: &'static str,
        /// `read` or `write`.
        expected: &'static str,
    },
    /// The same route is listed twice in a mode.
    #[error("route {route} is listed twice in mode {mode}; list it once")]
    Twice {
        /// The route.
        route: String,
        /// Name of the mode.
        mode: &'static str,
    },
    /// A route that the executor does not have.
    #[error("route {route}: a pyramid has no such route; its routes are {}", .has.join(", "))]
    NotOfPyramid {
        /// The route.
        route: String,
        /// Routes of a pyramid.
        has: Vec<String>,
    },
    /// Routes along the same link ask for different parts.
    #[error(
        "route {route}: the neighbours or strides of routes between the same banks differ between modes; give all modes the same"
    )]
    Differs {
        /// The route.
        route: String,
    },
    /// Banks of a pyramid that must have the same size differ.
    #[error("banks `{first}` and `{second}` have {given:?}, expected the same {what}")]
    Unequal {
        /// Name of the first bank.
        first: String,
        /// Name of the second bank.
        second: String,
        /// Sizes given.
        given: [usize; 2],
        /// What must be the same.
        what: &'static str,
    },
}
