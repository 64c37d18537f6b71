//! Tables and texts of a report: figures, settings, machine, commands, samples.

use super::escape::{element, escape, push, words};
use super::plot::COLORS;
use crate::amounts::{duration, rate};
use crate::figures::figure;
use crate::records::{Comparison, RunRecord, RunStatus, Spread, is_told};

/// Figures of a single run as tiles.
pub(super) fn tiles(run: &RunRecord) -> String {
    let mut tiles = Vec::new();
    let shown = run.figures();
    let of_what = if run.is_final() {
        "all held-out data"
    } else {
        "a held-out sample"
    };
    let own = shown.iter().filter(|(key, _)| *key != "loss" && is_told(key));
    let order = shown.get_key_value("loss").into_iter().chain(own);
    tiles.extend(order.map(|(key, value)| tile(&words(key), &number(key, *value), of_what)));
    let steps = run
        .total_steps()
        .map_or_else(String::new, |total| format!("of {total}"));
    tiles.push(tile("steps", &run.steps().to_string(), &steps));
    tiles.push(tile(
        "time",
        &duration(run.seconds()),
        "of training, all sessions",
    ));
    if let Some(speed) = run.units_per_second() {
        let unit = run.info.as_ref().and_then(|info| info.unit.clone());
        let unit = unit.unwrap_or_else(|| "units".into());
        tiles.push(tile(
            &format!("{unit} a second"),
            &rate(speed),
            "mean of the steps",
        ));
    }
    format!("<div class=\"tiles\">{}</div>\n", tiles.concat())
}

fn tile(name: &str, value: &str, remark: &str) -> String {
    let (name, value) = (element("span", "name", name), element("strong", "", value));
    format!("<div>{name}{value}{}</div>", element("span", "remark", remark))
}

/// A figure as text: a share as a percentage.
fn number(key: &str, value: f64) -> String {
    let shares = ["accuracy", "density", "share", "solved", "chance"];
    match shares.iter().any(|name| key.contains(name)) && (0.0..=1.0).contains(&value) {
        true => crate::figures::percent(value),
        false => figure(value),
    }
}

/// Several runs as a table, each with its colour.
pub(super) fn runs(compared: &Comparison) -> String {
    let figures = compared.figures();
    let told = figures.iter().filter(|(key, _)| is_told(key));
    let told: Vec<_> = told.collect();
    let mut html = String::from(
        "<div class=\"scroll\"><table><thead><tr><th>run</th><th>outcome</th><th class=\"n\">steps</th>",
    );
    told.iter()
        .for_each(|(key, _)| html.push_str(&element("th", "n", &words(key))));
    html.push_str("<th class=\"n\">time</th></tr></thead><tbody>");
    for (place, run) in compared.runs.iter().enumerate() {
        let color = place % COLORS;
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\"><span class=\"chip c{color}\"></span>{}</th>",
                escape(&run.name())
            ),
        );
        html.push_str(&element("td", "", &outcome(run)));
        html.push_str(&element("td", "n", &run.steps().to_string()));
        for (key, values) in &told {
            let text = values[place].map_or_else(|| "–".into(), |value| number(key, value));
            html.push_str(&element("td", "n", &text));
        }
        html.push_str(&element("td", "n", &duration(run.seconds())));
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>\n");
    if compared.runs.iter().any(|run| !run.is_final()) {
        html.push_str(&element(
            "p",
            "remark",
            "Figures of runs that are not complete are on a sample of the held-out data.",
        ));
    }
    html
}

/// Mean and deviation over seeds, for each group of several runs.
pub(super) fn seeds(compared: &Comparison) -> String {
    let groups = compared.groups().into_iter().filter(|group| group.runs.len() > 1);
    let sections = groups.map(|group| {
        let names: Vec<String> = group.runs.iter().map(|&run| compared.runs[run].name()).collect();
        let mut html = element("p", "", &format!("{} differ only by their seed:", names.join(", ")));
        html.push_str("<div class=\"scroll\"><table><thead><tr><th>figure</th><th class=\"n\">mean</th><th class=\"n\">deviation</th></tr></thead><tbody>");
        let told = group.figures.iter().filter(|(key, _)| is_told(key));
        told.for_each(|(key, spread)| html.push_str(&seed_row(key, spread)));
        html + "</tbody></table></div>\n"
    });
    sections.collect()
}

fn seed_row(key: &str, spread: &Spread) -> String {
    let deviation = spread
        .deviation
        .map_or_else(|| "–".into(), |deviation| format!("± {}", number(key, deviation)));
    format!(
        "<tr>{}{}{}</tr>",
        element("th", "", &words(key)),
        element("td", "n", &number(key, spread.mean)),
        element("td", "n", &deviation)
    )
}

/// Settings that differ, and the whole configuration of each run.
pub(super) fn settings(compared: &Comparison) -> String {
    let mut html = String::new();
    let differences = compared.differences();
    if compared.runs.len() > 1 && differences.is_empty() {
        html.push_str(&element("p", "remark", "All settings are the same."));
    } else if compared.runs.len() > 1 {
        html.push_str("<div class=\"scroll\"><table><thead><tr><th>setting that differs</th>");
        compared
            .runs
            .iter()
            .for_each(|run| html.push_str(&element("th", "", &run.name())));
        html.push_str("</tr></thead><tbody>");
        for (key, values) in differences {
            push(&mut html, format_args!("<tr>{}", element("th", "code", &key)));
            values
                .iter()
                .for_each(|value| html.push_str(&element("td", "code", value.unwrap_or("–"))));
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table></div>\n");
    }
    for run in &compared.runs {
        let title = format!("config.toml of {}", run.name());
        html.push_str(&details(&title, &element("pre", "", run.config.trim_end())));
    }
    html
}

fn details(title: &str, content: &str) -> String {
    format!("<details>{}{content}</details>\n", element("summary", "", title))
}

/// Machine and program of each run.
pub(super) fn environment(compared: &Comparison) -> String {
    let rows: Vec<Vec<(&str, String)>> = compared.runs.iter().map(machine).collect();
    let mut html = String::from("<div class=\"scroll\"><table>");
    if compared.runs.len() > 1 {
        html.push_str("<thead><tr><th></th>");
        compared
            .runs
            .iter()
            .for_each(|run| html.push_str(&element("th", "", &run.name())));
        html.push_str("</tr></thead>");
    }
    html.push_str("<tbody>");
    for place in 0..rows.first().map_or(0, Vec::len) {
        push(
            &mut html,
            format_args!("<tr>{}", element("th", "", rows[0][place].0)),
        );
        rows.iter()
            .for_each(|of| html.push_str(&element("td", "", &of[place].1)));
        html.push_str("</tr>");
    }
    html + "</tbody></table></div>\n"
}

fn machine(run: &RunRecord) -> Vec<(&'static str, String)> {
    let info = run.info.as_ref();
    let of = |value: fn(&crate::run::RunInfo) -> Option<String>| {
        info.and_then(value).unwrap_or_else(|| "not known".into())
    };
    vec![
        ("family", run.family()),
        ("version", of(|info| Some(info.version.clone()))),
        ("commit", of(|info| info.commit.clone())),
        ("backend", of(|info| Some(info.backend.clone()))),
        ("device", of(|info| Some(info.device.clone()))),
        ("processor", of(|info| info.cpu.clone())),
        ("threads", of(|info| Some(info.threads.to_string()))),
        ("seed", of(|info| Some(info.seed.to_string()))),
        ("started", of(|info| Some(info.started.clone()))),
        ("ended", of(|info| info.outcome.as_ref()?.ended.clone())),
        ("folder", run.folder.path().display().to_string()),
    ]
}

/// Commands that made the runs, and those that repeat and use them.
pub(super) fn commands(compared: &Comparison) -> String {
    let of_run = |run: &RunRecord| {
        let folder = quoted(&run.folder.path().display().to_string());
        let mut lines = Vec::new();
        if let Some(info) = &run.info {
            lines.push(format!("# {}, as it was typed", info.started));
            let words: Vec<String> = info.command_line.iter().map(|word| quoted(word)).collect();
            lines.push(words.join(" "));
            lines.extend(
                info.resumed_at
                    .iter()
                    .map(|resumed| format!("# {}: resumed at step {}", resumed.time, resumed.step)),
            );
        }
        lines.extend([
            "# the same run again".into(),
            format!("dragon train -c {folder}/config.toml"),
            "# its held-out figures".into(),
            format!("dragon eval {folder}"),
        ]);
        let title = if compared.runs.len() > 1 {
            element("h3", "", &run.name())
        } else {
            String::new()
        };
        title + &element("pre", "", &lines.join("\n")) + "\n"
    };
    let runs = compared.runs.iter();
    let folders: Vec<String> = runs
        .map(|run| quoted(&run.folder.path().display().to_string()))
        .collect();
    let page = format!("# this page\ndragon report {}", folders.join(" "));
    let commands: String = compared.runs.iter().map(of_run).collect();
    commands + &element("pre", "", &page)
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Samples of each run: the last one, and the earlier ones folded away.
pub(super) fn samples(compared: &Comparison) -> String {
    let of_run = |run: &RunRecord| {
        let mut samples = run.samples();
        let Some((step, last)) = samples.pop() else {
            return String::new();
        };
        let name = if compared.runs.len() > 1 {
            format!("{}, ", run.name())
        } else {
            String::new()
        };
        let mut html = element("h3", "", &format!("{name}after step {step}"));
        html.push_str(&element("pre", "sample", last.trim_end()));
        let earlier = samples.iter().rev().map(|(step, text)| {
            element("h4", "", &format!("step {step}")) + &element("pre", "sample", text.trim_end())
        });
        let earlier: String = earlier.collect();
        if !earlier.is_empty() {
            html.push_str(&details(&format!("{} earlier samples", samples.len()), &earlier));
        }
        html
    };
    compared.runs.iter().map(of_run).collect()
}

/// Outcome in words, with the error of a run that failed.
pub(super) fn outcome(run: &RunRecord) -> String {
    let error = run
        .info
        .as_ref()
        .and_then(|info| info.outcome.as_ref()?.error.clone());
    match error.filter(|_| run.status == RunStatus::Failed) {
        Some(error) => format!("failed: {error}"),
        None => run.status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::testing::run;

    fn compared() -> Comparison {
        let root = tempfile::tempdir().unwrap();
        let runs = [("a", 1, 1.5), ("b", 2, 2.5)]
            .map(|(name, seed, loss)| run(root.path(), name, seed, 0.001, loss));
        Comparison::of(runs.into())
    }

    #[test]
    fn words_are_quoted_as_a_shell_reads_them() {
        assert_eq!(quoted("training.seed=1"), "training.seed=1");
        assert_eq!(quoted("a b's"), "'a b'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn tiles_have_the_figures_of_the_run() {
        let html = tiles(&compared().runs[0]);
        for part in [
            "<strong>1.500</strong>",
            "<strong>75%</strong>",
            ">of 10<",
            "<strong>4s</strong>",
            "all held-out data",
        ] {
            assert!(html.contains(part), "`{part}` is not in {html}");
        }
    }

    #[test]
    fn runs_of_one_kind_have_a_mean_and_a_deviation() {
        let html = seeds(&compared());
        assert!(
            html.contains("a, b differ only by their seed") && html.contains("± 0.707"),
            "{html}"
        );
        assert!(settings(&compared()).contains("<th class=\"code\">training.seed</th>"));
    }
}
