//! A forecast as lines for a person.

use super::{Counts, MemoryForecast, TimeForecast};
use crate::amounts::{bytes, count, duration};
use crate::extent::Extent;
use crate::figures::{Unit, percent};

/// Lines about what does not depend on the backend.
pub(crate) fn common_lines(counts: &Counts, unit: Unit) -> Vec<String> {
    let (course, disk) = (&counts.course, &counts.disk);
    let left = match course.steps_done {
        0 => format!("{} steps", count(course.steps)),
        _ => format!(
            "{} more steps, up to {}",
            count(course.steps_left()),
            count(course.steps)
        ),
    };
    let epochs = counts.epochs.map(|epochs| match epochs {
        few if few < 9.95 => format!(", {few:.2} epochs"),
        many => format!(", {} epochs", count(many.round() as u64)),
    });
    let free = disk
        .free
        .map(|free| format!("; {} are free in {}", bytes(free), disk.folder.display()));
    vec![
        format!(
            "run    {left}: {} {}{}; {} evaluations, {} samples, at most {} checkpoints",
            count(counts.units),
            unit.many,
            epochs.unwrap_or_default(),
            count(course.evaluations + 1),
            count(course.samples),
            count(course.checkpoints)
        ),
        format!(
            "disk   {} a checkpoint, {} for the {} that lie there at once{}",
            bytes(disk.checkpoint_bytes),
            bytes(disk.bytes),
            count(disk.checkpoints),
            free.unwrap_or_default()
        ),
    ]
}

/// Lines about memory and time on a backend.
pub(crate) fn lines_of_backend(
    name: &str,
    counts: &Counts,
    memory: &MemoryForecast,
    time: Option<&TimeForecast>,
) -> Vec<String> {
    let largest = match memory.largest_batch_size {
        Some(largest) => format!(
            "; training.batch_size = {} is the largest that fits",
            count(largest)
        ),
        None => String::new(),
    };
    let snapshot = match memory.snapshot_bytes {
        0 => String::new(),
        copy => format!(", {} while a checkpoint is written", bytes(copy)),
    };
    let mut lines = vec![format!(
        "{name:<6} memory  {} at the peak: {} program and data, {} a step{snapshot}; {} are available{largest}",
        bytes(memory.peak_bytes),
        bytes(memory.data_bytes),
        bytes(memory.step_bytes.max(memory.evaluation_bytes)),
        bytes(memory.available_bytes)
    )];
    match time {
        Some(time) => lines.extend(time_lines(name, counts, time)),
        None => lines.push(format!(
            "{name:<6} time    not known: this family has no slice that could be measured"
        )),
    }
    lines
}

fn time_lines(name: &str, counts: &Counts, time: &TimeForecast) -> Vec<String> {
    let in_levels = time.levels_per_step.map(|levels| {
        let share = |part: f64| percent(part / time.seconds_per_step.max(1e-12));
        format!(
            " ({} levels, {} update)",
            share(levels),
            share(time.update_per_step)
        )
    });
    let mut lines = vec![
        format!("{name:<6} time    about {}", duration(time.seconds)),
        format!(
            "{:15}{} steps of {}{}: {}",
            "",
            count(counts.course.steps_left()),
            short(time.seconds_per_step),
            in_levels.unwrap_or_default(),
            duration(time.steps)
        ),
    ];
    for (what, seconds) in [
        (
            format!("{} evaluations on the sample", count(counts.course.evaluations)),
            time.evaluations,
        ),
        ("evaluation on all held-out data".into(), time.last_evaluation),
        (format!("{} samples", count(counts.course.samples)), time.samples),
        ("reading of the data".into(), time.data),
    ] {
        lines.push(format!("{:15}{what}: {}", "", duration(seconds)));
    }
    let measured = match time.slice == time.whole {
        true => "steps of the whole model".into(),
        false => format!(
            "steps of a slice of the same widths: {} of {}",
            of(time.slice),
            of(time.whole)
        ),
    };
    lines.push(format!("{:15}measured now, on {measured}", ""));
    lines
}

fn of(extent: Extent) -> String {
    let Extent { heads, levels, lanes } = extent;
    format!("{heads} heads, {levels} levels, {lanes} samples a batch")
}

/// Seconds of a step: `29.3 ms`, `4.21 s`.
fn short(seconds: f64) -> String {
    match seconds < 0.9995 {
        true => format!("{:.1} ms", 1e3 * seconds),
        false => format!("{seconds:.2} s"),
    }
}
