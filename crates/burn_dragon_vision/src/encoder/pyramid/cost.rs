//! Cost of a pyramid backbone, from its configuration.

use super::config::{HubGates, PyramidConfig};
use super::schedule::BankLink;
use burn_dragon_core::api::structured::StepMode;
use burn_dragon_kernel::api::Grid;
use std::num::Saturating;

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}

impl PyramidConfig {
    /// Number of parameters of a backbone of model width `d`.
    pub fn parameters(&self, d: usize) -> u64 {
        let numbers = self.tensors(d).into_iter().map(|tensor| tensor.numbers());
        numbers.fold(Saturating(0), |sum, numbers| sum + numbers).0
    }

    /// Bytes of the memories of a picture, f32: rank V numbers for each place of each bank.
    pub fn memory_bytes(&self, grid: Grid) -> u64 {
        let ranks = of(grid.places()) * of(self.patch_rank)
            + of(self.coarse(grid).places()) * of(self.coarse_rank)
            + of(self.hubs) * of(self.hub_rank);
        (Saturating(4) * ranks * of(self.value_width)).0
    }

    /// FLOPs of a forward step of a picture in a mode, without further steps: the maps of the tokens, and for each link of
    /// the mode a product with the memories read and an outer product written.
    ///
    /// Sums of neighbours' memories count one addition for each of their numbers.
    pub fn step_flops(&self, d: usize, grid: Grid, mode: StepMode) -> u64 {
        let (patches, cells) = (of(grid.places()), of(self.coarse(grid).places()));
        let (patch, coarse, hub) = (of(self.patch_rank), of(self.coarse_rank), of(self.hub_rank));
        let (d, v, hubs) = (of(d), of(self.value_width), of(self.hubs));
        let gates = if self.hub_gates == HubGates::Learnt {
            hubs
        } else {
            of(0)
        };
        let both = Saturating(2);
        let of_patches = both * (d * (both * patch + coarse + hub + v + gates) + v * patch);
        let of_cells = both * (d * (both * coarse + hub + v + gates) + v * coarse);
        let sums = |near: &crate::encoder::NearConfig, grid| of(near.pairs(grid).len());
        let read = |link: &BankLink| match link {
            BankLink::PatchPatch => v * patch * (sums(&self.near_patch, grid) + both * patches),
            BankLink::PatchCoarse => both * patches * coarse * v,
            BankLink::PatchHub => both * patches * hubs * hub * v,
            BankLink::CoarseCoarse => v * coarse * (sums(&self.near_cell, self.coarse(grid)) + both * cells),
            BankLink::CoarseHub => both * cells * hubs * hub * v,
        };
        let write = |link: &BankLink| match link {
            BankLink::PatchPatch => both * patches * patch * v,
            BankLink::PatchCoarse => both * patches * coarse * v,
            BankLink::PatchHub => both * patches * hubs * hub * v,
            BankLink::CoarseCoarse => both * cells * coarse * v,
            BankLink::CoarseHub => both * cells * hubs * hub * v,
        };
        let links = self.schedule.in_mode(mode);
        let linked = links.reads.iter().map(read).chain(links.writes.iter().map(write));
        let linked = linked.fold(Saturating(0), |sum, flops| sum + flops);
        (patches * of_patches + cells * of_cells + linked).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::pyramid::schedule::{ModeLinks, Schedule};

    #[test]
    fn the_cost_is_counted_by_hand() {
        let config = PyramidConfig {
            hubs: 3,
            patch_rank: 4,
            coarse_rank: 5,
            hub_rank: 6,
            value_width: 7,
            ..PyramidConfig::default()
        };
        let grid = Grid::new(4, 6); // 24 patches, 6 cells
        assert_eq!(config.memory_bytes(grid), 4 * 7 * (24 * 4 + 6 * 5 + 3 * 6));
        let maps = 2 * 24 * (10 * (4 + 5 + 6 + 7 + 3) + 7 * 4 + 4 * 10)
            + 2 * 6 * (10 * (5 + 6 + 7 + 3) + 7 * 5 + 5 * 10);
        let schedule = |links: ModeLinks| PyramidConfig {
            schedule: Schedule::always(links),
            ..config.clone()
        };
        let flops =
            |links: &[BankLink]| schedule(ModeLinks::of(links)).step_flops(10, grid, StepMode::Refine);
        assert_eq!(flops(&[]), maps);
        // 24 patches: 4 corners of 4 neighbours, 12 border places of 6, 8 of 9.
        let pairs = 4 * 4 + 12 * 6 + 8 * 9;
        let local = 7 * 4 * (pairs + 2 * 24) + 2 * 24 * 4 * 7;
        assert_eq!(flops(&[BankLink::PatchPatch]), maps + local);
        assert_eq!(flops(&[BankLink::PatchCoarse]), maps + 2 * (2 * 24 * 5 * 7));
        assert_eq!(flops(&[BankLink::CoarseHub]), maps + 2 * (2 * 6 * 18 * 7));
        let only = |link| flops(&[link]) - maps;
        let sum: u64 = BankLink::ALL.into_iter().map(only).sum();
        assert_eq!(flops(&BankLink::ALL), maps + sum);
        let tensors = config.tensors(10);
        let by_hand: usize = tensors
            .iter()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum();
        assert_eq!(config.parameters(10), by_hand as u64);
        assert_eq!(config.parameters(10), 573);
    }
}
