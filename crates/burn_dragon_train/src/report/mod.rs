//! Report of runs as one HTML page: curves, figures, samples, weights, settings, machine, commands.
//!
//! The page needs nothing else: styles and drawings are in it, and it has no script. It follows the colours of the reader's
//! system, light or dark. It is a function of the run folders, so the same runs give the same bytes.

mod charts;
mod escape;
mod page;
mod plot;
mod scale;
mod series;
mod tables;
mod weights;

use crate::records::{Comparison, RunRecord};
use weights::Weights;

/// Report of one or several runs.
#[derive(Debug)]
pub struct Report {
    runs: Comparison,
    weights: Vec<Weights>,
}

impl Report {
    /// A report of these runs, at least one. The weights of their newest checkpoints are read; where they cannot be read,
    /// the report says so.
    pub fn of(runs: Vec<RunRecord>) -> Self {
        Self {
            weights: runs.iter().map(Weights::of).collect(),
            runs: Comparison::of(runs),
        }
    }

    /// The page.
    pub fn html(&self) -> String {
        page::html(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::testing::run;

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_runs_nothing() {
        let root = tempfile::tempdir().unwrap();
        let runs = ["a", "b"].map(|name| run(root.path(), name, 1, 0.001, 1.5));
        let html = Report::of(runs.into()).html();
        for what in [
            "<script",
            "src=",
            "href=",
            "@import",
            "url(",
            "http:",
            "https:",
            "onload",
            "javascript:",
        ] {
            assert!(!html.contains(what), "{what}");
        }
        assert!(html.starts_with("<!doctype html>") && html.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn the_same_runs_give_the_same_bytes() {
        let root = tempfile::tempdir().unwrap();
        let record = run(root.path(), "a", 1, 0.001, 1.5);
        let pages = [(); 2].map(|()| Report::of(vec![record.clone()]).html());
        assert_eq!(pages[0], pages[1]);
    }

    #[test]
    fn text_of_a_run_is_text_in_the_page() {
        let root = tempfile::tempdir().unwrap();
        let mut record = run(root.path(), "a", 1, 0.001, 1.5);
        let hostile = "</pre><img onerror=\"x\"> & \u{1b}[31m\u{202e}";
        record.config = hostile.into();
        record.settings.insert(hostile.into(), hostile.into());
        record.lines[2].insert(hostile.into(), 0.5.into());
        record.lines[4].insert(hostile.into(), 0.5.into());
        if let Some(info) = &mut record.info {
            info.command_line = vec![hostile.into()];
            info.device = hostile.into();
        }
        let folder = record.folder.samples().join("step-000010");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("sample.txt"), hostile).unwrap();
        let html = Report::of(vec![record.clone(), record]).html();
        for what in ["<img", "</pre><img", "\u{1b}", "\u{202e}"] {
            assert!(!html.contains(what), "{what:?}");
        }
        assert!(html.contains("&lt;/pre&gt;&lt;img onerror=&quot;x&quot;&gt; &amp;"));
    }

    #[test]
    fn a_run_that_has_not_trained_has_a_page_that_says_so() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("config.toml"), "[training]\nseed = 1\n").unwrap();
        let html = Report::of(vec![RunRecord::read(root.path()).unwrap()]).html();
        assert!(html.contains("no lines of metrics yet"), "{html}");
    }
}
