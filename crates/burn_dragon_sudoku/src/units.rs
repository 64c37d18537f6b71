//! Geometry of the grid: cells, and the 27 units (9 rows, 9 columns, 9 boxes), in each of which every digit occurs
//! once.

/// Number of cells in a grid. Cells are counted row by row from the top left.
pub const CELLS: usize = 81;

/// Cells of each unit, in order: rows 0 to 8, then columns, then boxes.
pub(crate) const UNITS: [[usize; 9]; 27] = units();

/// For each cell, the 20 other cells that share a unit with it.
pub(crate) const PEERS: [[usize; 20]; CELLS] = peers();

/// Row of a cell, 0 to 8.
pub const fn row_of(cell: usize) -> usize {
    cell / 9
}

/// Column of a cell, 0 to 8.
pub const fn column_of(cell: usize) -> usize {
    cell % 9
}

/// Box of a cell, 0 to 8, counted row by row.
pub const fn box_of(cell: usize) -> usize {
    cell / 27 * 3 + cell % 9 / 3
}

const fn units() -> [[usize; 9]; 27] {
    let mut units = [[0; 9]; 27];
    let mut unit = 0;
    while unit < 9 {
        let mut i = 0;
        while i < 9 {
            units[unit][i] = unit * 9 + i;
            units[9 + unit][i] = i * 9 + unit;
            units[18 + unit][i] = (unit / 3 * 3 + i / 3) * 9 + unit % 3 * 3 + i % 3;
            i += 1;
        }
        unit += 1;
    }
    units
}

const fn peers() -> [[usize; 20]; CELLS] {
    let mut peers = [[0; 20]; CELLS];
    let mut cell = 0;
    while cell < CELLS {
        let (mut other, mut found) = (0, 0);
        while other < CELLS {
            let shared = row_of(other) == row_of(cell)
                || column_of(other) == column_of(cell)
                || box_of(other) == box_of(cell);
            if shared && other != cell {
                peers[cell][found] = other;
                found += 1;
            }
            other += 1;
        }
        cell += 1;
    }
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_rows_columns_and_boxes() {
        for (unit, cells) in UNITS.iter().enumerate() {
            let place = [row_of, column_of, box_of][unit / 9];
            assert!(cells.iter().all(|&cell| place(cell) == unit % 9), "{unit}");
            assert!(cells.windows(2).all(|pair| pair[0] < pair[1]), "{unit}");
        }
    }

    #[test]
    fn a_cell_has_twenty_peers_that_see_it_too() {
        for (cell, peers) in PEERS.iter().enumerate() {
            let mut peers = peers.to_vec();
            peers.dedup();
            assert_eq!(peers.len(), 20);
            assert!(
                peers
                    .iter()
                    .all(|&peer| PEERS[peer].contains(&cell) && peer != cell)
            );
        }
    }
}
