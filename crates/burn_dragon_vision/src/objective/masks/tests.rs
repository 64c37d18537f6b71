use super::distance::squares;
use super::*;
use burn_dragon_core::api::expert::Rng;

const GRIDS: [PatchGrid; 5] = [
    PatchGrid {
        frames: 1,
        height: 8,
        width: 8,
    },
    PatchGrid {
        frames: 4,
        height: 5,
        width: 7,
    },
    PatchGrid {
        frames: 1,
        height: 1,
        width: 2,
    },
    PatchGrid {
        frames: 3,
        height: 1,
        width: 1,
    },
    PatchGrid {
        frames: 2,
        height: 2,
        width: 3,
    },
];

fn blocks(blocks: usize, spatial: [f64; 2], temporal: [f64; 2]) -> BlockMasks {
    BlockMasks {
        blocks,
        spatial_scale: spatial,
        temporal_scale: temporal,
        aspect: [0.5, 2.0],
    }
}

#[test]
fn every_mask_leaves_context_and_asks_for_something() {
    for grid in GRIDS {
        for config in [
            BlockMasks::default(),
            blocks(1, [0.01, 0.01], [0.01, 0.01]),
            blocks(64, [1.0, 1.0], [1.0, 1.0]),
            blocks(4, [0.2, 0.8], [0.5, 1.0]),
        ] {
            config.validate().unwrap();
            for step in 0..20 {
                for mask in config.draw(grid, 3, (1, step)) {
                    assert!(
                        !mask.masked().is_empty() && !mask.context().is_empty(),
                        "{grid:?} {config:?}"
                    );
                    assert_eq!(mask.masked().len() + mask.context().len(), grid.tokens());
                }
            }
        }
        for share in [0.0, 0.3, 0.75, 1.0] {
            let count = ((share * grid.tokens() as f64).round() as usize).clamp(1, grid.tokens() - 1);
            for mask in random_masks(grid, share, 5, (3, 4)) {
                assert_eq!(mask.masked().len(), count, "{grid:?} {share}");
            }
        }
    }
}

#[test]
fn one_block_is_a_tube_of_the_size_that_the_batch_drew() {
    let grid = PatchGrid {
        frames: 4,
        height: 8,
        width: 9,
    };
    let config = blocks(1, [0.2, 0.5], [0.5, 1.0]);
    let mut sizes = std::collections::BTreeSet::new();
    for step in 0..30 {
        let spans = |mask: &Mask| {
            let axes: [Vec<usize>; 3] = [
                mask.masked().iter().map(|token| token / 72).collect(),
                mask.masked().iter().map(|token| token / 9 % 8).collect(),
                mask.masked().iter().map(|token| token % 9).collect(),
            ];
            axes.map(|axis| {
                let (low, high) = (axis.iter().min().unwrap(), axis.iter().max().unwrap());
                (*low, high - low + 1)
            })
        };
        let masks = config.draw(grid, 16, (7, step));
        let size = spans(&masks[0]).map(|(_, length)| length);
        for mask in &masks {
            assert_eq!(spans(mask).map(|(_, length)| length), size);
            assert_eq!(mask.masked().len(), size.iter().product::<usize>());
        }
        let starts: std::collections::BTreeSet<_> = masks
            .iter()
            .map(|mask| spans(mask).map(|(start, _)| start))
            .collect();
        assert!(starts.len() > 1, "positions are drawn for each sample");
        assert!((2..=4).contains(&size[0]));
        let share = (size[1] * size[2]) as f64 / 72.0;
        assert!((0.1..=0.65).contains(&share), "{size:?}");
        sizes.insert(size);
    }
    assert!(sizes.len() > 5, "sizes are drawn for each batch: {sizes:?}");
}

#[test]
fn masks_are_a_function_of_seed_and_step() {
    let config = blocks(2, [0.2, 0.4], [0.5, 1.0]);
    for draw in [
        &(|at| config.draw(GRIDS[1], 8, at)) as &dyn Fn((u64, u64)) -> Vec<Mask>,
        &|at| random_masks(GRIDS[1], 0.5, 8, at),
    ] {
        assert_eq!(draw((1, 2)), draw((1, 2)));
        assert_ne!(draw((1, 2)), draw((1, 3)));
        assert_ne!(draw((1, 2)), draw((2, 2)));
        assert_ne!(draw((1, 2))[0], draw((1, 2))[1]);
    }
}

#[test]
fn stacked_lists_have_the_smallest_length_of_the_batch_and_only_tokens_of_their_kind() {
    let masks = blocks(4, [0.2, 0.4], [0.5, 1.0]).draw(GRIDS[1], 9, (5, 6));
    let [context, masked] = stacked(&masks, (5, 6));
    let smallest = |of: fn(&Mask) -> Vec<usize>| masks.iter().map(|mask| of(mask).len()).min().unwrap();
    assert_eq!(context.length, smallest(Mask::context));
    assert_eq!(masked.length, smallest(Mask::masked));
    let mut is_cut = false;
    for (sample, mask) in masks.iter().enumerate() {
        for (lists, all) in [(&context, mask.context()), (&masked, mask.masked())] {
            let list = lists.of(sample);
            assert!(list.is_sorted_by(|a, b| a < b));
            assert!(list.iter().all(|token| all.contains(token)));
            is_cut |= list.len() < all.len();
        }
    }
    assert!(is_cut, "the samples differ in length");
    let tensor = context.tensor(&Device::flex());
    assert_eq!(tensor.dims(), [9, context.length]);
    let values: Vec<i64> = tensor.into_data().convert::<i64>().try_into_vec().unwrap();
    let expected: Vec<i64> = context.tokens.iter().map(|&token| token as i64).collect();
    assert_eq!(values, expected);
}

#[test]
fn random_masks_mask_every_token_equally_often() {
    let grid = PatchGrid {
        frames: 1,
        height: 4,
        width: 4,
    };
    let mut counts = [0; 16];
    for mask in random_masks(grid, 0.25, 8000, (1, 0)) {
        mask.masked().into_iter().for_each(|token| counts[token] += 1);
    }
    assert!(
        counts.iter().all(|count| (1850..2150).contains(count)),
        "{counts:?}"
    ); // 2000, deviation 39
}

#[test]
fn distances_equal_their_definition() {
    let mut rng = Rng::new(9);
    for grid in GRIDS {
        for round in 0..20 {
            let share = f64::from(round) / 20.0;
            let masked: Vec<bool> = (0..grid.tokens()).map(|_| rng.uniform() < share).collect();
            let mask = Mask::new(grid, masked);
            let place = |token: usize| {
                [
                    token / (grid.height * grid.width),
                    token / grid.width % grid.height,
                    token % grid.width,
                ]
            };
            let (fast, weights) = (squares(&mask), mask.distance_weights());
            for token in 0..grid.tokens() {
                let square = |&other: &usize| -> u64 {
                    let apart = place(token).into_iter().zip(place(other));
                    apart.map(|(a, b)| (a.abs_diff(b) as u64).pow(2)).sum()
                };
                let nearest = mask.masked().iter().map(square).min();
                let weight = match nearest {
                    Some(square) if !mask.flags()[token] => 1.0 / (square as f64).sqrt().max(1.0).sqrt(),
                    _ => 0.0,
                };
                assert!(nearest.is_none_or(|nearest| nearest == fast[token]));
                assert!(
                    (f64::from(weights[token]) - weight).abs() < 1e-6,
                    "{grid:?} {token}"
                );
            }
        }
    }
}

#[test]
fn settings_out_of_range_are_refused_with_their_key() {
    let wrong = [
        (
            BlockMasks {
                blocks: 0,
                ..BlockMasks::default()
            },
            "objective.masks.blocks",
        ),
        (
            BlockMasks {
                spatial_scale: [0.5, 0.2],
                ..BlockMasks::default()
            },
            "objective.masks.spatial_scale",
        ),
        (
            BlockMasks {
                temporal_scale: [0.5, 1.5],
                ..BlockMasks::default()
            },
            "objective.masks.temporal_scale",
        ),
        (
            BlockMasks {
                aspect: [f64::NAN, 1.0],
                ..BlockMasks::default()
            },
            "objective.masks.aspect",
        ),
    ];
    for (config, key) in wrong {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key} is ")), "{error}");
    }
}
