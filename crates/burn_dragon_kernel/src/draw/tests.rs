//! The draw on a GPU against its definition.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod on_gpu {
    use crate::backend::DragonBackend;
    use crate::draw::cube::{NOTHING, Rule, Sizes, draw_tokens};
    use crate::draw::{Draw, reference};
    use crate::gpu::array::{for_rows, upload};
    use crate::gpu::tests::device;
    use burn::tensor::{DType, Device, Tensor};
    use burn_cubecl::CubeBackend;
    use cubecl::prelude::CubeElement;

    const PLAIN: Draw = Draw {
        temperature: 1.0,
        top_k: None,
        top_p: None,
        penalty: None,
    };

    /// A token of each lane, from logits `[B, V]`, uniform numbers and the tokens that each has seen.
    fn drawn(device: &Device, draw: &Draw, logits: &[Vec<f32>], uniforms: &[f64], seen: &[u32]) -> Vec<u32> {
        let (lanes, vocab) = (logits.len(), logits[0].len());
        let like = CubeBackend::take(Tensor::<1>::zeros([1], device))
            .unwrap()
            .numbers;
        let floats = |values: &[f32]| upload(&like, f32::as_bytes(values), values.len(), DType::F32);
        let words = |values: &[u32]| upload(&like, u32::as_bytes(values), values.len(), DType::U32);
        let uniforms: Vec<f32> = uniforms.iter().map(|&uniform| uniform as f32).collect();
        let mut of_lane = vec![0u32; vocab];
        seen.iter().for_each(|&token| of_lane[token as usize] = 1);
        let tape = words(&[0, 1, 0, 0, 0].repeat(lanes));
        let sizes = Sizes {
            vocab,
            lanes,
            stride: 5,
            uniforms: 1,
            end: None,
        };
        let (rule, steps) = Rule::of(draw, sizes);
        let (cubes, units) = for_rows(&like.client, lanes);
        draw_tokens::launch(
            &like.client,
            cubes,
            units,
            floats(&logits.concat()).into_buffer_arg(),
            floats(&uniforms).into_buffer_arg(),
            words(&of_lane.repeat(lanes)).into_buffer_arg(),
            tape.clone().into_buffer_arg(),
            rule,
            steps,
        );
        let bytes = like.client.read_one_unchecked(tape.handle.clone());
        u32::from_bytes(&bytes)
            .chunks_exact(5)
            .map(|lane| lane[4])
            .collect()
    }

    /// Logits of `lanes`, with equal ones among them.
    fn logits(lanes: usize, vocab: usize) -> Vec<Vec<f32>> {
        let logit = |i: usize| {
            let hash = crate::mix::mix(i as u64);
            ((hash >> 40) as f32 / (1 << 24) as f32 * 40.0).floor() / 4.0 - 5.0
        };
        let of_lane = |lane| (0..vocab).map(|token| logit(lane * vocab + token)).collect();
        (0..lanes).map(of_lane).collect()
    }

    /// Temperature 0 and others, top-k, top-p and penalty, alone and together; vocabularies below and above a cube.
    #[test]
    fn draws_are_those_of_the_definition() {
        let Some(device) = device() else { return };
        let settings = [
            Draw {
                temperature: 0.0,
                penalty: Some(1.5),
                ..PLAIN
            },
            Draw {
                temperature: 0.7,
                ..PLAIN
            },
            Draw {
                top_k: Some(7),
                top_p: Some(0.8),
                penalty: Some(0.5),
                temperature: 1.3,
            },
        ];
        for (lanes, vocab) in [(40, 61), (12, 3001), (5, 1)] {
            let logits = logits(lanes, vocab);
            let uniforms: Vec<f64> = (0..lanes)
                .map(|lane| (lane as f64 + 0.01) / lanes as f64)
                .collect();
            let seen: Vec<u32> = (0..vocab as u32).step_by(3).collect();
            for draw in settings {
                let found = drawn(&device, &draw, &logits, &uniforms, &seen);
                for (lane, found) in found.into_iter().enumerate() {
                    let uniform = || uniforms[lane];
                    let expected = reference::draw(&logits[lane], &draw, seen.iter().copied(), uniform);
                    assert_eq!(Ok(found), expected, "{draw:?}, lane {lane} of vocabulary {vocab}");
                }
            }
        }
    }

    /// Also where the penalty leaves the range of f32.
    #[test]
    fn what_is_not_finite_is_drawn_from_in_no_lane_but_its_own() {
        let Some(device) = device() else { return };
        let lanes = [
            vec![1.0, 2.0, 3.0],
            vec![1.0, f32::NAN, 3.0],
            vec![f32::INFINITY, 2.0, 3.0],
            vec![1.0, 2.0, f32::NEG_INFINITY],
            vec![f32::MAX, 2.0, 3.0],
        ];
        let draw = Draw {
            penalty: Some(0.5),
            temperature: 0.0,
            ..PLAIN
        };
        let found = drawn(&device, &draw, &lanes, &[0.5; 5], &[0]);
        assert_eq!(found, [2, NOTHING, NOTHING, NOTHING, NOTHING]);
    }
}
