//! Steps of a pyramid by routes: banks `patch`, `coarse` and `hub`, with the kernel's
//! [`pyramid`](burn_dragon_kernel::api::pyramid).

use super::{
    Access, BankShape, Route, Routing, RoutingError, StepMode, StructuredError, StructuredState, Via,
};
use burn::tensor::{Device, Tensor};
use burn_dragon_kernel::api::{
    Link, Links, Neighbourhood, OfTokens, Pyramid, PyramidDecay, PyramidInput, PyramidMemory, PyramidOutput,
    PyramidQueries, WriteOrder, pyramid,
};

/// Names of the banks.
const PATCH: &str = "patch";
const COARSE: &str = "coarse";
const HUB: &str = "hub";

/// Routing of a pyramid, ready for steps: the links of each mode, and the neighbours along them.
#[derive(Clone, Debug)]
pub struct PyramidRouting {
    routing: Routing,
    pyramid: Pyramid,
    near_patch: Neighbourhood,
    near_cell: Neighbourhood,
    /// Links along which is read and written, by mode in the order of [`StepMode::ALL`].
    links: [[Links; 2]; 3],
    /// Order of decay and write.
    order: WriteOrder,
}

/// What the tokens of a pyramid bring to a step.
#[derive(Clone, Debug)]
pub struct PyramidTokens {
    /// Queries.
    pub queries: PyramidQueries,
    /// Values.
    pub values: OfTokens,
    /// Gates of the hubs; `None` for 1 / M each.
    pub gates: Option<OfTokens>,
}

/// What the tokens of a pyramid read in a step.
#[derive(Clone, Debug)]
pub struct PyramidReads {
    /// What the patches read, `[B, H, P, D]`; `None` if they read nothing in this mode.
    pub patch: Option<Tensor<4>>,
    /// What the cells read, `[B, H, C, D]`; `None` if they read nothing in this mode.
    pub coarse: Option<Tensor<4>>,
}

impl PyramidRouting {
    /// A pyramid from its routing.
    ///
    /// It has the banks `patch` and `coarse`, which are grids, and `hub`, with the same heads and columns. Its routes are:
    ///
    /// | route | way |
    /// |---|---|
    /// | `patch -> patch`, `coarse -> coarse` | read `Local`, write `Identity` |
    /// | `patch -> coarse` | read and write `Cell` |
    /// | `patch -> hub`, `coarse -> hub` | read and write `Dense` |
    ///
    /// `stride` is the number of patches along a side of a cell.
    ///
    /// # Errors
    /// If a bank is missing, banks differ in heads or columns, the cells are not those of the stride, a route is another one,
    /// or the neighbours of a link differ between modes.
    pub fn new(routing: Routing, stride: usize, order: WriteOrder) -> Result<Self, RoutingError> {
        let [patch, coarse, hub] = [
            bank(&routing, PATCH)?,
            bank(&routing, COARSE)?,
            bank(&routing, HUB)?,
        ];
        for other in [coarse, hub] {
            same(patch, other, "heads", |bank| bank.heads)?;
            same(patch, other, "columns", |bank| bank.width)?;
        }
        let cells = Route::new(PATCH, COARSE, Access::Read, Via::Cell { stride });
        let patches = super::routing::cells_of(&cells, patch, coarse, stride)?;
        let mut found = Found {
            stride,
            ..Found::default()
        };
        for route in routing.routes() {
            found.add(route)?;
        }
        let itself = Neighbourhood::moore(0);
        Ok(Self {
            pyramid: Pyramid {
                patches,
                stride,
                hubs: hub.places.count(),
            },
            near_patch: found.near_patch.unwrap_or(itself),
            near_cell: found.near_cell.unwrap_or(itself),
            links: found.links,
            order,
            routing,
        })
    }

    /// The routing.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Links along which is read, and along which is written, in a mode.
    pub fn links(&self, mode: StepMode) -> [Links; 2] {
        self.links[mode as usize]
    }

    /// An empty state of this pyramid.
    pub fn state(&self, lanes: usize, device: &Device) -> StructuredState {
        StructuredState::new(self.routing.banks(), lanes, device)
    }

    /// A step: all reads of this mode, then all its writes, with the decay of a unit of time if the mode takes time.
    ///
    /// It changes memories, not time: a call of several inner steps [advances](StructuredState::advance) the state once.
    ///
    /// # Errors
    /// If the state is not one of this pyramid.
    ///
    /// # Panics
    /// If the shapes of the tokens do not fit the banks.
    pub fn step(
        &self,
        state: &mut StructuredState,
        mode: StepMode,
        tokens: PyramidTokens,
        of_unit: &PyramidDecay,
    ) -> Result<PyramidReads, StructuredError> {
        state.check(self.routing.banks(), state.lanes())?;
        let [reads, writes] = self.links(mode);
        let memory = PyramidMemory {
            patch: state.take_memory(PATCH)?,
            coarse: state.take_memory(COARSE)?,
            hub: state.take_memory(HUB)?,
        };
        let PyramidOutput {
            patch,
            coarse,
            memory,
        } = pyramid(PyramidInput {
            pyramid: self.pyramid,
            memory,
            queries: tokens.queries,
            values: tokens.values,
            gates: tokens.gates,
            near_patch: self.near_patch,
            near_cell: self.near_cell,
            reads,
            writes,
            decay: PyramidDecay {
                patch: mode.decay(of_unit.patch.as_ref()),
                coarse: mode.decay(of_unit.coarse.as_ref()),
                hub: mode.decay(of_unit.hub.as_ref()),
            },
            order: self.order,
        });
        state.put_memory(PATCH, memory.patch)?;
        state.put_memory(COARSE, memory.coarse)?;
        state.put_memory(HUB, memory.hub)?;
        Ok(PyramidReads { patch, coarse })
    }
}

/// What the routes ask for.
#[derive(Default)]
struct Found {
    stride: usize,
    near_patch: Option<Neighbourhood>,
    near_cell: Option<Neighbourhood>,
    links: [[Links; 2]; 3],
}

impl Found {
    fn add(&mut self, route: &Route) -> Result<(), RoutingError> {
        let not_there = || RoutingError::NotOfPyramid {
            route: route.to_string(),
            has: routes().map(|route| route.to_string()).collect(),
        };
        let link = link_of(route).ok_or_else(not_there)?;
        match (link, route.via) {
            (Link::PatchPatch, Via::Local(near)) => once(&mut self.near_patch, near, route)?,
            (Link::CoarseCoarse, Via::Local(near)) => once(&mut self.near_cell, near, route)?,
            (_, Via::Cell { stride }) => once(&mut Some(self.stride), stride, route)?,
            _ => {}
        }
        for mode in &route.modes {
            let links = &mut self.links[*mode as usize][route.access as usize];
            *links = links.with(link);
        }
        Ok(())
    }
}

/// A setting that all routes along a link share.
fn once<T: PartialEq>(setting: &mut Option<T>, given: T, route: &Route) -> Result<(), RoutingError> {
    match setting {
        Some(other) if *other != given => Err(RoutingError::Differs {
            route: route.to_string(),
        }),
        _ => {
            *setting = Some(given);
            Ok(())
        }
    }
}

/// The link of a route of a pyramid.
fn link_of(route: &Route) -> Option<Link> {
    let is_own = match route.access {
        Access::Read => matches!(route.via, Via::Local(_)),
        Access::Write => route.via == Via::Identity,
    };
    match (route.source.as_str(), route.target.as_str(), route.via) {
        (PATCH, PATCH, _) if is_own => Some(Link::PatchPatch),
        (COARSE, COARSE, _) if is_own => Some(Link::CoarseCoarse),
        (PATCH, COARSE, Via::Cell { .. }) => Some(Link::PatchCoarse),
        (PATCH, HUB, Via::Dense) => Some(Link::PatchHub),
        (COARSE, HUB, Via::Dense) => Some(Link::CoarseHub),
        _ => None,
    }
}

/// All routes of a pyramid.
fn routes() -> impl Iterator<Item = Route> {
    let local = Via::Local(Neighbourhood::moore(1));
    let cell = Via::Cell { stride: 2 };
    let all = [
        (PATCH, PATCH, [local, Via::Identity]),
        (COARSE, COARSE, [local, Via::Identity]),
        (PATCH, COARSE, [cell; 2]),
        (PATCH, HUB, [Via::Dense; 2]),
        (COARSE, HUB, [Via::Dense; 2]),
    ];
    all.into_iter().flat_map(|(source, target, [read, write])| {
        [
            Route::new(source, target, Access::Read, read),
            Route::new(source, target, Access::Write, write),
        ]
    })
}

fn bank<'a>(routing: &'a Routing, name: &str) -> Result<&'a BankShape, RoutingError> {
    routing.bank(name).ok_or_else(|| RoutingError::NoSuchBank {
        route: "of a pyramid".into(),
        name: name.into(),
        banks: routing.banks().iter().map(|bank| bank.name.clone()).collect(),
    })
}

fn same(
    first: &BankShape,
    second: &BankShape,
    what: &'static str,
    size: fn(&BankShape) -> usize,
) -> Result<(), RoutingError> {
    let given = [size(first), size(second)];
    if given[0] == given[1] {
        return Ok(());
    }
    Err(RoutingError::Unequal {
        first: first.name.clone(),
        second: second.name.clone(),
        given,
        what,
    })
}
