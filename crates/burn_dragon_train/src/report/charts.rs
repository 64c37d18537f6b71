//! Plots of runs: loss, activity, held-out figures, curves, rates, weights.

use super::escape::{element, words};
use super::plot::{Form, Plot, STEP};
use super::scale::Numbers;
use super::series::{Series, Stroke};
use super::weights::{Distribution, Weights};
use crate::records::{Comparison, RunRecord};
use std::collections::{BTreeMap, BTreeSet};

/// Separator in the keys of a curve: `cell_accuracy_at_level_03` is the point at 3 of `cell_accuracy` by `level`.
const AT: &str = "_at_";

/// Section with the loss, as one wide plot.
pub(super) fn loss(runs: &Comparison) -> String {
    let mut series = Vec::new();
    for (run, record) in runs.runs.iter().enumerate() {
        let (several, name) = (runs.runs.len() > 1, record.name());
        let (training, held_out) = match several {
            true => (String::new(), name),
            false => ("training".into(), "held out, a sample".into()),
        };
        let color = if several { run } else { 0 };
        let of = |name: String, color, stroke, kind: &str| Series {
            name,
            color,
            stroke,
            points: record.series(kind, "loss"),
        };
        series.push(of(training, color, Stroke::Faint, "train"));
        let (color, pattern) = if several { (run, run) } else { (1, 0) };
        series.push(of(held_out, color, Stroke::Dotted(pattern), "evaluation"));
        if !several {
            series.push(of("held out, all".into(), 2, Stroke::Dotted(0), "final"));
        }
    }
    series.retain(|series| !series.points.is_empty());
    let remark = match runs.runs.len() {
        1 => String::new(),
        _ => "Thick lines with dots are held out (a sample), pale ones are training.".into(),
    };
    let html = Plot {
        title: "Loss".into(),
        x: STEP.into(),
        y: "nats".into(),
        numbers: Numbers::Plain,
        form: Form::LogarithmicBeyond(3),
        series,
        remark,
    }
    .html("wide");
    match html.is_empty() {
        true => element("p", "remark", "There are no lines of metrics yet."),
        false => html,
    }
}

/// Plots of everything else that was measured over the steps, and of the curves at the end.
pub(super) fn others(runs: &Comparison) -> String {
    let mut plots = vec![activity(runs)];
    plots.extend(activity_by_level(runs));
    plots.extend(figures(runs));
    plots.extend(curves(runs));
    let units = runs.runs.iter().find_map(|run| run.info.as_ref()?.unit.clone());
    let units = format!("{} a second", units.unwrap_or_else(|| "units".into()));
    let form = Form::LogarithmicBeyond(10);
    plots.push(of_key(
        runs,
        "train",
        "gradient_norm",
        "Norm of the gradient",
        "global norm",
        form,
    ));
    plots.push(of_key(
        runs,
        "train",
        "learning_rate",
        "Learning rate",
        "rate of the step",
        Form::FromZero,
    ));
    plots.push(of_key(
        runs,
        "train",
        "units_per_second",
        "Throughput",
        &units,
        Form::FromZero,
    ));
    plots.push(of_key(
        runs,
        "train",
        "utilisation",
        "Utilisation",
        "share of the machine's peak",
        Form::FromZero,
    ));
    plots.iter().map(|plot| plot.html("")).collect()
}

/// Plot of one figure of all runs.
fn of_key(runs: &Comparison, kind: &str, key: &str, title: &str, y: &str, form: Form) -> Plot {
    let stroke = match kind {
        "train" => Stroke::Line,
        _ => Stroke::Dotted,
    };
    let series = runs.runs.iter().enumerate().map(|(run, record)| Series {
        name: String::new(),
        color: run,
        stroke: stroke(run),
        points: record.series(kind, key),
    });
    let series: Vec<Series> = series.collect();
    Plot {
        title: title.into(),
        x: STEP.into(),
        y: y.into(),
        numbers: numbers(key, &series),
        form,
        series,
        remark: String::new(),
    }
}

/// Percentages for the shares among the figures.
fn numbers(key: &str, series: &[Series]) -> Numbers {
    let named = ["accuracy", "density", "share", "solved", "chance", "utilisation"];
    let mut values = series.iter().flat_map(|series| &series.points);
    match named.iter().any(|name| key.contains(name)) && values.all(|(_, value)| (0.0..=1.0).contains(value))
    {
        true => Numbers::Percent,
        false => Numbers::Plain,
    }
}

/// Series of several figures of all runs. Of one run, each figure has a colour; of several, each run has one, and each
/// figure a pattern.
fn together(
    runs: &Comparison,
    keys: &[(String, String)],
    stroke: fn(usize) -> Stroke,
    points: impl Fn(&RunRecord, &str) -> Vec<(f64, f64)>,
) -> Vec<Series> {
    let several = runs.runs.len() > 1;
    let mut series = Vec::new();
    for (run, record) in runs.runs.iter().enumerate() {
        for (place, (key, name)) in keys.iter().enumerate() {
            series.push(Series {
                name: if several && run > 0 {
                    String::new()
                } else {
                    name.clone()
                },
                color: if several { run } else { place },
                stroke: stroke(place),
                points: points(record, key),
            });
        }
    }
    series
}

/// Shares of active neurons over the steps.
fn activity(runs: &Comparison) -> Plot {
    let keys: BTreeSet<String> = runs.runs.iter().flat_map(|run| run.keys("train")).collect();
    let keys = keys.into_iter().filter(|key| key.ends_with("_density"));
    let keys: Vec<(String, String)> = keys
        .map(|key| (key.clone(), key.trim_end_matches("_density").into()))
        .collect();
    Plot {
        title: "Density: share of active neurons".into(),
        x: STEP.into(),
        y: "mean over the levels".into(),
        numbers: Numbers::Percent,
        form: Form::FromZero,
        series: together(runs, &keys, Stroke::Line, |run, key| run.series("train", key)),
        remark: String::new(),
    }
}

/// Shares of active neurons level by level, of a single run.
fn activity_by_level(runs: &Comparison) -> Vec<Plot> {
    let [run] = &runs.runs[..] else { return Vec::new() };
    let keys = run.keys("train");
    let plot = |of: &str| {
        let prefix = format!("{of}_density{AT}level_");
        let levels = keys
            .iter()
            .filter_map(|key| Some((key, key.strip_prefix(&prefix)?)));
        let series = levels.enumerate().map(|(place, (key, level))| Series {
            name: format!("level {}", level.trim_start_matches('0')),
            color: place,
            stroke: Stroke::Line(place),
            points: run.series("train", key),
        });
        Plot {
            title: format!("Density of {of} by level"),
            x: STEP.into(),
            y: "share of active neurons".into(),
            numbers: Numbers::Percent,
            form: Form::FromZero,
            series: series.collect(),
            remark: String::new(),
        }
    };
    ["x", "y"].map(plot).into()
}

/// Held-out figures over the steps: those that say more than the loss. A figure and its chance are one plot.
fn figures(runs: &Comparison) -> Vec<Plot> {
    let keys: BTreeSet<String> = runs.runs.iter().flat_map(|run| run.keys("evaluation")).collect();
    let told = |key: &String| {
        let own = key != "loss" && !key.contains(AT);
        own && !key.ends_with("_density") && !key.ends_with("_chance") && !is_the_loss(runs, key)
    };
    let plots = keys.iter().filter(|key| told(key)).map(|key| {
        let mut plot = of_key(
            runs,
            "evaluation",
            key,
            &sentence(key),
            "held out, a sample",
            Form::FromZero,
        );
        let chance = format!("{}_chance", key.trim_end_matches("_accuracy"));
        if key.ends_with("_accuracy") && keys.contains(&chance) {
            let of_chance = of_key(runs, "evaluation", &chance, "", "", Form::FromZero).series;
            plot.series.extend(of_chance.into_iter().map(|series| Series {
                stroke: Stroke::Line(2),
                ..series
            }));
            plot.remark = "The dotted line is chance.".into();
        }
        plot
    });
    plots.collect()
}

/// Whether a figure is the loss in another unit.
fn is_the_loss(runs: &Comparison, key: &str) -> bool {
    let ratios = runs.runs.iter().flat_map(|run| {
        let (loss, figure) = (run.series("evaluation", "loss"), run.series("evaluation", key));
        loss.into_iter()
            .zip(figure)
            .map(|(loss, figure)| figure.1 / loss.1)
    });
    let ratios: Vec<f64> = ratios.collect();
    ratios
        .windows(2)
        .all(|pair| (pair[0] / pair[1] - 1.0).abs() < 1e-9)
}

/// Curves among the newest held-out figures: recall by distance, accuracy by level.
fn curves(runs: &Comparison) -> Vec<Plot> {
    let keys: BTreeSet<String> = runs
        .runs
        .iter()
        .flat_map(|run| run.figures().into_keys())
        .collect();
    let mut by_noun: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (figure, noun, _) in keys.iter().filter_map(|key| parts(key)) {
        let name = words(figure);
        by_noun
            .entry(noun.into())
            .or_default()
            .insert((figure.into(), name));
    }
    let plots = by_noun.into_iter().map(|(noun, figures)| {
        let figures: Vec<(String, String)> = figures.into_iter().collect();
        let series = together(runs, &figures, Stroke::Dotted, |run, figure| {
            curve(run, figure, &noun)
        });
        Plot {
            title: format!("{} by {}", subject(&figures), words(&noun)),
            x: unit_of(&noun),
            y: "at the end".into(),
            numbers: numbers(&figures[0].0, &series),
            form: Form::FromZero,
            series,
            remark: String::new(),
        }
    });
    plots.collect()
}

/// Word that the names of all figures begin with, as a sentence begins.
fn subject(figures: &[(String, String)]) -> String {
    let first = |name: &str| name.split(' ').next().map(sentence);
    let word = figures.first().and_then(|(_, name)| first(name));
    word.filter(|word| figures.iter().all(|(_, name)| first(name).as_ref() == Some(word)))
        .unwrap_or_else(|| "Held-out figures".into())
}

/// Figure, noun and number of the key of a point of a curve.
fn parts(key: &str) -> Option<(&str, &str, f64)> {
    let (figure, at) = key.split_once(AT)?;
    let (noun, number) = at.rsplit_once('_')?;
    Some((figure, noun, number.parse().ok()?))
}

fn curve(run: &RunRecord, figure: &str, noun: &str) -> Vec<(f64, f64)> {
    let of_run = run.figures();
    let points = of_run
        .iter()
        .filter_map(|(key, value)| Some((parts(key)?, *value)));
    let own = points.filter(|((of, by, _), _)| (*of, *by) == (figure, noun));
    let mut points: Vec<(f64, f64)> = own.map(|((.., number), value)| (number, value)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Name of an axis of a noun.
fn unit_of(noun: &str) -> String {
    match noun {
        "distance" => "distance in bytes".into(),
        noun => words(noun),
    }
}

/// Words of a key, as a sentence begins.
fn sentence(key: &str) -> String {
    let words = words(key);
    let mut letters = words.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Section with the distributions of the weights, one plot for each tensor.
pub(super) fn weights(runs: &Comparison, weights: &[Weights]) -> String {
    let names: BTreeSet<&str> = weights
        .iter()
        .flat_map(|of| &of.tensors)
        .map(|tensor| tensor.name.as_str())
        .collect();
    let problems = runs.runs.iter().zip(weights).filter_map(|(run, of)| {
        let problem = of.problem.as_ref()?;
        Some(element("p", "remark", &format!("{}: {problem}", run.name())))
    });
    let plots = names.into_iter().map(|name| {
        let of_runs = weights
            .iter()
            .map(|of| of.tensors.iter().find(|tensor| tensor.name == name));
        tensor(name, &of_runs.collect::<Vec<_>>()).html("")
    });
    problems.chain(plots).collect()
}

/// Histogram of a tensor of each run; of a single run with the normal distribution beside it.
fn tensor(name: &str, of_runs: &[Option<&Distribution>]) -> Plot {
    let mut series = Vec::new();
    let several = of_runs.len() > 1;
    for (run, distribution) in of_runs.iter().enumerate() {
        let Some(distribution) = distribution else {
            continue;
        };
        series.push(Series {
            name: if several { String::new() } else { "weights".into() },
            color: run,
            stroke: if several { Stroke::Line(run) } else { Stroke::Area },
            points: distribution.points(),
        });
        if !several {
            series.push(Series {
                name: "normal, same deviation".into(),
                color: 1,
                stroke: Stroke::Line(1),
                points: distribution.normal(),
            });
        }
    }
    Plot {
        title: name.into(),
        x: "weight".into(),
        y: "share of the weights".into(),
        numbers: Numbers::Plain,
        form: Form::LogarithmicBeyond(10),
        series,
        remark: of_runs
            .iter()
            .flatten()
            .next()
            .filter(|_| !several)
            .map_or_else(String::new, |of| remark(of)),
    }
}

fn remark(distribution: &Distribution) -> String {
    let shape: Vec<String> = distribution.shape.iter().map(ToString::to_string).collect();
    format!(
        "{}, deviation {:.3}, largest {:.3}, excess kurtosis {:.1}",
        shape.join(" × "),
        distribution.deviation,
        distribution.largest,
        distribution.kurtosis
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::testing::run;

    fn runs(count: usize) -> Comparison {
        let root = tempfile::tempdir().unwrap();
        let names = ["a", "b"].into_iter().take(count);
        Comparison::of(names.map(|name| run(root.path(), name, 1, 0.001, 1.5)).collect())
    }

    #[test]
    fn points_of_a_curve_are_named_by_their_keys() {
        assert_eq!(
            parts("cell_accuracy_at_level_03"),
            Some(("cell_accuracy", "level", 3.0))
        );
        for key in ["recall_accuracy", "looked_at_once", "x_at_3"] {
            assert_eq!(parts(key), None, "{key}");
        }
    }

    #[test]
    fn a_curve_is_drawn_in_the_order_of_its_numbers() {
        let mut runs = runs(1);
        for (number, value) in [("100", 0.25), ("020", 0.5), ("003", 0.75)] {
            runs.runs[0].lines[4].insert(format!("recall_accuracy_at_distance_{number}"), value.into());
        }
        let plots = curves(&runs);
        assert_eq!(
            (plots.len(), plots[0].title.as_str(), plots[0].x.as_str()),
            (1, "Recall by distance", "distance in bytes")
        );
        assert_eq!(
            plots[0].series[0].points,
            [(3.0, 0.75), (20.0, 0.5), (100.0, 0.25)]
        );
        assert_eq!(plots[0].numbers, Numbers::Percent);
    }

    #[test]
    fn a_figure_that_is_the_loss_in_another_unit_has_no_plot() {
        let mut runs = runs(1);
        for line in &mut runs.runs[0].lines {
            let loss = line["loss"].as_f64().unwrap();
            line.insert("bits_per_byte".into(), (loss / std::f64::consts::LN_2).into());
            line.insert("recall_accuracy".into(), 0.5.into());
            line.insert("recall_chance".into(), 0.1.into());
        }
        let plots = figures(&runs);
        assert_eq!(
            plots.iter().map(|plot| plot.title.as_str()).collect::<Vec<_>>(),
            ["Recall accuracy"]
        );
        assert_eq!(plots[0].series.len(), 2);
    }

    #[test]
    fn of_several_runs_each_has_its_colour_in_every_plot() {
        let html = loss(&runs(2));
        assert!(html.contains(">a</li>") && html.contains(">b</li>"), "{html}");
        assert_eq!(html.matches("<g class=\"c1\">").count(), 2);
        assert_eq!(
            activity(&runs(2))
                .series
                .iter()
                .map(|series| series.color)
                .collect::<Vec<_>>(),
            [0, 1]
        );
    }

    #[test]
    fn levels_are_in_their_order() {
        let mut runs = runs(1);
        for level in ["02", "10", "01"] {
            runs.runs[0].lines[1].insert(format!("x_density_at_level_{level}"), 0.5.into());
        }
        let names: Vec<String> = activity_by_level(&runs)[0]
            .series
            .iter()
            .map(|series| series.name.clone())
            .collect();
        assert_eq!(names, ["level 1", "level 2", "level 10"]);
    }
}
