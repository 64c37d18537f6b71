//! Streams: cursors over data, resets of memory, windows of truncated backpropagation, and resumed runs.
//!
//! `cargo run --release --example stream_api`

use burn_dragon::api::stream::{
    DatasetCursor, Documents, InMemoryStreamDataset, Lanes, Order, Scale, ScaleMixup, Shard,
    StateCarryPolicy, StreamCursor, StreamDataset, StreamError, StreamSampleId, StreamSegment,
    TargetAlignmentPolicy, TbpttWindow, collate_stream_segments, resolve_stream_target_alignment,
};

fn main() -> Result<(), StreamError> {
    let episodes = ["hatch the egg", "light a flame", "guard my gold"];
    segments(&episodes)?;
    corpus()
}

/// Steps of any payload: here bytes, with one memory for each lane in place of a model's.
fn segments(episodes: &[&str]) -> Result<(), StreamError> {
    let whole = |(episode, text): (u64, &&str)| {
        StreamSegment::of_episode(StreamSampleId::new(0, episode, 0), text.bytes())
    };
    let dataset: InMemoryStreamDataset<u8> = (0..).zip(episodes).map(whole).collect();
    println!(
        "{} episodes of {} steps",
        dataset.len(),
        dataset.segments()[0].len()
    );

    // A shuffled cursor, stopped after one segment and resumed from its position.
    let new_cursor = || DatasetCursor::new(&dataset, Order::Shuffled { seed: 1337 }, Shard::WHOLE);
    let mut cursor = new_cursor()?;
    let first = cursor.next_segment();
    let position = cursor.position();
    let second = cursor.next_segment();
    let mut resumed = new_cursor()?;
    resumed.seek(&position)?;
    assert_eq!(resumed.next_segment(), second);
    println!("resumed at place {} of epoch {}", position.index, position.epoch);

    // Two lanes side by side, read in windows: gradients flow through the last 3 of 5 steps.
    let lanes: Vec<_> = first.into_iter().chain(second).collect();
    let batch = collate_stream_segments(&lanes)?;
    let window = TbpttWindow::try_new(5, 3)?;
    let policy = StateCarryPolicy::UntilBoundary;
    let mut memory = vec![u64::MAX; batch.lanes()]; // left over from something else
    for steps in window.split(batch.steps()) {
        for step in steps.detached.start..steps.tracked.end {
            for lane in batch.resets(step, policy) {
                memory[lane] = 0;
            }
            for (memory, &byte) in memory.iter_mut().zip(&batch.payloads[step]) {
                *memory += u64::from(byte);
            }
        }
        println!(
            "steps {:?} fill memory, {:?} are learnt from; {memory:?}",
            steps.detached, steps.tracked
        );
    }
    // Memory is carried over the windows and emptied at each episode: the result is that of each episode read at once.
    for (memory, lane) in memory.iter().zip(&lanes) {
        assert_eq!(
            *memory,
            lane.steps.iter().map(|step| u64::from(step.payload)).sum::<u64>()
        );
    }

    // Targets of observations.
    let steps = lanes[0].metadata();
    let target =
        |step| resolve_stream_target_alignment(TargetAlignmentPolicy::FixedFuture, &steps, step, Some(4));
    assert_eq!(target(3).map(|target| target.target_index), Some(7));
    assert_eq!(target(10), None); // it would be behind the end
    Ok(())
}

/// A corpus of documents, packed on lanes, in windows of several lengths.
fn corpus() -> Result<(), StreamError> {
    let documents = Documents::from_lengths(&[900, 17, 1, 350, 64, 1200])?;
    println!(
        "{} documents, {} inputs an epoch",
        documents.count(),
        documents.inputs()
    );
    let new_lanes = || Lanes::new(&documents, Order::Shuffled { seed: 7 }, 4);
    let mixup = ScaleMixup::new(
        &[
            Scale {
                length: 64,
                weight: 2,
            },
            Scale {
                length: 256,
                weight: 1,
            },
        ],
        256, // tokens a step
    )?;

    // A run that never stops, compared with one that stops and resumes before every step.
    let (mut lanes, mut saved) = (new_lanes()?, new_lanes()?.positions());
    for number in 0..12 {
        let step = mixup.scale_of_step(1337, number);
        let windows = lanes.next_of(&step.lanes_of(lanes.count())?, step.length)?;
        assert_eq!(windows.iter().map(|window| window.len()).sum::<usize>(), 256);

        let mut resumed = new_lanes()?;
        resumed.seek(&saved)?;
        assert_eq!(
            resumed.next_of(&step.lanes_of(resumed.count())?, step.length)?,
            windows
        );
        saved = resumed.positions();

        if number < 3 {
            for window in &windows {
                let tokens: Vec<_> = window
                    .spans
                    .iter()
                    .map(|span| documents.inputs_of(span))
                    .collect();
                println!(
                    "step {number}: tokens {tokens:?}, memory emptied before {:?}",
                    window.resets()
                );
            }
        }
    }
    println!("12 steps, resumed before each of them: the same windows");
    Ok(())
}
