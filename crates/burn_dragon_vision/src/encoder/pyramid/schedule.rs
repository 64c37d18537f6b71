//! Schedule: along which links a pyramid reads and writes in each mode.

use burn_dragon_core::api::structured::{
    Access, BankShape, Grid, PyramidRouting, Route, Routing, RoutingError, StepMode, Via, WriteOrder,
};
use burn_dragon_kernel::api::Neighbourhood;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Table `[model.pyramid.schedule]`: the links of each mode. By default all links are used in all modes.
///
/// Weights do not depend on it: a trained model can be run with another one, as an ablation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Links in mode observe, the first step on a frame.
    pub observe: ModeLinks,
    /// Links in mode refine, the other steps on it.
    pub refine: ModeLinks,
    /// Links in mode predict, a step without a frame.
    pub predict: ModeLinks,
}

/// Links along which is read and written in a mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModeLinks {
    /// Links along which is read.
    pub reads: Vec<BankLink>,
    /// Links along which is written.
    pub writes: Vec<BankLink>,
}

/// Link from the tokens of one bank to the memories of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BankLink {
    /// A patch and the patches: it reads its neighbours, and writes to itself.
    PatchPatch,
    /// A patch and the coarse cell that it lies in.
    PatchCoarse,
    /// A patch and all hubs.
    PatchHub,
    /// A coarse cell and the coarse cells: it reads its neighbours, and writes to itself.
    CoarseCoarse,
    /// A coarse cell and all hubs.
    CoarseHub,
}

impl BankLink {
    /// All links.
    pub const ALL: [Self; 5] = [
        Self::PatchPatch,
        Self::PatchCoarse,
        Self::PatchHub,
        Self::CoarseCoarse,
        Self::CoarseHub,
    ];

    /// Links within a bank: what a place exchanges with its neighbours.
    pub const LOCAL: [Self; 2] = [Self::PatchPatch, Self::CoarseCoarse];

    /// Links of the coarse cells.
    pub const COARSE: [Self; 3] = [Self::PatchCoarse, Self::CoarseCoarse, Self::CoarseHub];

    /// Links to the hubs.
    pub const HUB: [Self; 2] = [Self::PatchHub, Self::CoarseHub];

    /// Names of the two banks.
    fn banks(self) -> (&'static str, &'static str) {
        match self {
            Self::PatchPatch => ("patch", "patch"),
            Self::PatchCoarse => ("patch", "coarse"),
            Self::PatchHub => ("patch", "hub"),
            Self::CoarseCoarse => ("coarse", "coarse"),
            Self::CoarseHub => ("coarse", "hub"),
        }
    }
}

impl Default for ModeLinks {
    fn default() -> Self {
        Self::of(&BankLink::ALL)
    }
}

impl ModeLinks {
    /// These links, for reads and writes.
    pub fn of(links: &[BankLink]) -> Self {
        Self {
            reads: links.to_vec(),
            writes: links.to_vec(),
        }
    }

    /// The same without some links.
    #[must_use]
    pub fn without(mut self, links: &[BankLink]) -> Self {
        for list in [&mut self.reads, &mut self.writes] {
            list.retain(|link| !links.contains(link));
        }
        self
    }

    fn list(&self, access: Access) -> &[BankLink] {
        match access {
            Access::Read => &self.reads,
            Access::Write => &self.writes,
        }
    }
}

impl Schedule {
    /// The same without some links in any mode.
    #[must_use]
    pub fn without(self, links: &[BankLink]) -> Self {
        Self {
            observe: self.observe.without(links),
            refine: self.refine.without(links),
            predict: self.predict.without(links),
        }
    }

    /// The same links in all modes.
    pub fn always(links: ModeLinks) -> Self {
        Self {
            observe: links.clone(),
            refine: links.clone(),
            predict: links,
        }
    }

    /// Links of a mode.
    pub fn in_mode(&self, mode: StepMode) -> &ModeLinks {
        match mode {
            StepMode::Observe => &self.observe,
            StepMode::Refine => &self.refine,
            StepMode::Predict => &self.predict,
        }
    }
}

/// Sizes of the routes: who is near, and how many patches make a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    pub(super) near_patch: Neighbourhood,
    pub(super) near_cell: Neighbourhood,
    pub(super) stride: usize,
}

impl Ways {
    /// The way of a link in a direction.
    fn of(&self, link: BankLink, access: Access) -> Via {
        let local = |near| match access {
            Access::Read => Via::Local(near),
            Access::Write => Via::Identity,
        };
        match link {
            BankLink::PatchPatch => local(self.near_patch),
            BankLink::CoarseCoarse => local(self.near_cell),
            BankLink::PatchCoarse => Via::Cell { stride: self.stride },
            BankLink::PatchHub | BankLink::CoarseHub => Via::Dense,
        }
    }

    /// The reads or the writes of a schedule as routes between banks.
    pub(super) fn routing(
        &self,
        banks: Vec<BankShape>,
        schedule: &Schedule,
        access: Access,
    ) -> Result<PyramidRouting, RoutingError> {
        let route = |link: BankLink| {
            let is_used = |mode: &StepMode| schedule.in_mode(*mode).list(access).contains(&link);
            let modes: Vec<StepMode> = StepMode::ALL.into_iter().filter(is_used).collect();
            let (source, target) = link.banks();
            Route::new(source, target, access, self.of(link, access)).in_modes(&modes)
        };
        let routes = BankLink::ALL.map(route).to_vec();
        PyramidRouting::new(
            Routing::new(banks, routes)?,
            self.stride,
            WriteOrder::DecayThenWrite,
        )
    }
}

/// The grid of the coarse cells.
pub(super) fn coarse(grid: Grid, stride: usize) -> Grid {
    Grid::new(grid.height.div_ceil(stride), grid.width.div_ceil(stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_written_as_lists_of_links() {
        let text = "[predict]\nreads = [\"patch_hub\"]\nwrites = []\n";
        let schedule: Schedule = toml::from_str(text).unwrap();
        let predict = schedule.in_mode(StepMode::Predict);
        assert_eq!(
            (&predict.reads[..], &predict.writes[..]),
            (&[BankLink::PatchHub][..], &[][..])
        );
        assert_eq!(*schedule.in_mode(StepMode::Refine), ModeLinks::default());
        assert!(toml::from_str::<Schedule>("[predict]\nreads = [\"hub_patch\"]").is_err());
    }

    #[test]
    fn links_that_are_left_out_are_in_no_mode() {
        let schedule = Schedule::default().without(&BankLink::HUB);
        for mode in StepMode::ALL {
            for access in [Access::Read, Access::Write] {
                let list = schedule.in_mode(mode).list(access);
                assert_eq!(list.len(), 3);
                assert!(BankLink::HUB.iter().all(|link| !list.contains(link)));
            }
        }
    }
}
