//! The page: head, sections, foot.

use super::escape::{element, escape};
use super::{Report, charts, tables};

/// Styles of the page.
const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn html(report: &Report) -> String {
    let compared = &report.runs;
    let runs = &compared.runs;
    let title = match &runs[..] {
        [run] => run.name(),
        runs => format!("{} runs", runs.len()),
    };
    let overview = match &runs[..] {
        [run] => tables::tiles(run),
        _ => tables::runs(compared),
    };
    let sections = [
        section("", "Learning curve", &overview, &charts::loss(compared)),
        section(
            "grid",
            "Over the steps, and at the end",
            "",
            &charts::others(compared),
        ),
        section("", "Over seeds", "", &tables::seeds(compared)),
        section("", "Samples", "", &tables::samples(compared)),
        section("grid", "Weights of the newest checkpoint", "", &weights(report)),
        section("", "Settings", "", &tables::settings(compared)),
        section("", "Environment", "", &tables::environment(compared)),
        section("", "Commands", "", &tables::commands(compared)),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} – burn_dragon</title>\n<style>\n{STYLE}</style></head>\n\
         <body><main>\n{}{}<footer>Written by <code>dragon report</code>, burn_dragon {}.</footer>\n</main></body></html>\n",
        escape(&title),
        head(report, &title),
        sections.concat(),
        env!("CARGO_PKG_VERSION")
    )
}

fn head(report: &Report, title: &str) -> String {
    let line = match &report.runs.runs[..] {
        [run] => {
            let started = run.info.as_ref().map_or_else(String::new, |info| {
                format!(
                    ", started {} UTC",
                    info.started.replace('T', " ").trim_end_matches('Z')
                )
            });
            format!("{}, {}{started}", run.family(), tables::outcome(run))
        }
        runs => {
            let mut families: Vec<String> = runs.iter().map(crate::records::RunRecord::family).collect();
            families.dedup();
            families.join(", ")
        }
    };
    format!(
        "<header>{}{}</header>\n",
        element("h1", "", title),
        element("p", "", &line)
    )
}

/// Section with a heading; nothing without content. `lead` stands above the heading.
fn section(class: &str, heading: &str, lead: &str, content: &str) -> String {
    if content.is_empty() {
        return lead.into();
    }
    let class = if class.is_empty() {
        String::new()
    } else {
        format!(" class=\"{class}\"")
    };
    format!(
        "{lead}<section>{}<div{class}>\n{content}</div></section>\n",
        element("h2", "", heading)
    )
}

fn weights(report: &Report) -> String {
    let read = report.weights.iter().filter(|of| of.problem.is_none());
    let mut steps: Vec<String> = read.map(|of| of.step.to_string()).collect();
    steps.dedup();
    let plots = charts::weights(&report.runs, &report.weights);
    let colors = if report.weights.len() > 1 {
        " The colours are those of the first table."
    } else {
        ""
    };
    match steps.is_empty() {
        true => plots,
        false => {
            element(
                "p",
                "remark all",
                &format!("After step {}.{colors}", steps.join(", ")),
            ) + &plots
        }
    }
}
