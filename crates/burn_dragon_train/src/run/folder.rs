//! The folder of a run: made once, never shared, found again through `runs/latest`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use burn_dragon_checkpoint::api::expert::{Disk, Os, beside, create_dirs};

use super::{stamp, write_atomic};
use crate::error::TrainError;

const CONFIG: &str = "config.toml";
const RUN_JSON: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoint";
const LATEST: &str = "latest";

/// A run's folder and the names of what lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run.
    ///
    /// With `out`, that folder: it may exist, but may not hold a run. Without, `<runs_root>/<label>-<UTC
    /// date-time>`, with `-2`, `-3`... where runs start in the same second. `<runs_root>/latest` then names
    /// the run, unless `out` lies elsewhere.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunExists`] if `out` holds a run; [`TrainError::File`] if the disk refuses.
    pub fn create(out: Option<&Path>, runs_root: &Path, label: &str) -> Result<Self, TrainError> {
        let path = match out {
            Some(out) => claim(out)?,
            None => fresh(
                runs_root,
                &format!("{}-{}", plain(label), stamp(SystemTime::now())),
            )?,
        };
        if out.is_none() || lies_in(&path, runs_root) {
            point_latest(&path)?;
        }
        Ok(Self { path })
    }

    /// The folder of an existing run. `runs/latest` is followed, so that the path stays the same run's
    /// when a newer one starts.
    ///
    /// # Errors
    ///
    /// [`TrainError::NotARun`] if there is no run.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        let given = path.as_ref();
        let not_a_run = |problem: String| TrainError::NotARun {
            path: given.into(),
            problem,
        };
        let path = follow(given).map_err(|error| not_a_run(error.to_string()))?;
        if let Some(run) = run_around(given) {
            let run = run.display();
            return Err(not_a_run(format!(
                "it is a part of the run {run}: `--resume {run}`"
            )));
        }
        let shown = path.display();
        if !path.is_dir() {
            return Err(not_a_run(format!("there is no folder {shown}")));
        }
        if !path.join(CONFIG).is_file() {
            return Err(not_a_run(format!("{shown} holds no {CONFIG}")));
        }
        Ok(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`: the resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// `run.json`: [`RunInfo`](super::RunInfo).
    pub fn run_json(&self) -> PathBuf {
        self.path.join(RUN_JSON)
    }

    /// `metrics.jsonl`: [`MetricsLog`](super::MetricsLog).
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// `samples/`: the files of samples, a folder for each step that made some.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples")
    }

    /// `checkpoint/`: the folder of all checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// `checkpoint/step-000200`: the checkpoint after 200 steps.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints().join(format!("step-{step:06}"))
    }
}

/// Makes `out` a run's folder.
fn claim(out: &Path) -> Result<PathBuf, TrainError> {
    // Not only a complete run: a folder with a stray config.toml would lose it.
    if [CONFIG, RUN_JSON, METRICS, CHECKPOINTS]
        .iter()
        .any(|name| out.join(name).exists())
    {
        return Err(TrainError::RunExists { path: out.into() });
    }
    create_dirs(&Os, out).map_err(TrainError::on_file)?;
    Ok(out.into())
}

/// Makes a folder that no other process made: creation fails if it exists, so there is no race.
fn fresh(runs_root: &Path, name: &str) -> Result<PathBuf, TrainError> {
    create_dirs(&Os, runs_root).map_err(TrainError::on_file)?;
    let mut path = runs_root.join(name);
    for attempt in 2.. {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                path.set_file_name(format!("{name}-{attempt}"));
            }
            made => {
                made.map_err(TrainError::file("create", &path))?;
                Os.sync_dir(runs_root)
                    .map_err(TrainError::file("sync", runs_root))?;
                break;
            }
        }
    }
    Ok(path)
}

/// A label as part of a file name on any system.
fn plain(label: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = label.chars().map(safe).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() {
        "run".into()
    } else {
        name.into()
    }
}

fn lies_in(path: &Path, folder: &Path) -> bool {
    let (Ok(path), Ok(folder)) = (fs::canonicalize(path), fs::canonicalize(folder)) else {
        return false;
    };
    path.parent() == Some(&folder)
}

/// Makes `latest`, beside the run, name it.
fn point_latest(run: &Path) -> Result<(), TrainError> {
    // Canonical, since `--out runs/.` or `x/..` has no last name; the run exists by now.
    let run = fs::canonicalize(run).map_err(TrainError::file("find", run))?;
    let (latest, name) = (run.with_file_name(LATEST), run.file_name().unwrap_or_default());
    // Some disks have no links; the text file works on all of them.
    symlink(Path::new(name), &latest)
        .or_else(|_| write_atomic(&latest, format!("{}\n", name.display()).as_bytes()))
}

/// Puts a link in place by a rename, so that a reader sees the old one or the new one.
#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    let temporary = beside(link);
    std::os::unix::fs::symlink(target, &temporary)?;
    fs::rename(&temporary, link).inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// The run whose checkpoints a path leads into.
fn run_around(path: &Path) -> Option<&Path> {
    let all = path.ancestors().take(2);
    let all = all.filter(|folder| folder.file_name().is_some_and(|name| name == CHECKPOINTS));
    all.filter_map(Path::parent)
        .find(|run| run.join(CONFIG).is_file())
}

/// The folder that a path names: itself, or what the link or the text file `latest` names.
fn follow(path: &Path) -> io::Result<PathBuf> {
    // Rebuilt without a trailing slash, with which the system would look behind the link.
    let path: PathBuf = path.components().collect();
    let Ok(metadata) = fs::symlink_metadata(&path) else {
        return Ok(path);
    };
    if metadata.is_symlink() {
        return Ok(path.with_file_name(fs::read_link(&path)?));
    }
    if metadata.is_file() && path.file_name().is_some_and(|name| name == LATEST) {
        let text = fs::read_to_string(&path)?;
        let name = Path::new(text.trim());
        let plain = matches!(name.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        let problem = || io::Error::new(ErrorKind::InvalidData, format!("it names `{}`", name.display()));
        return if plain {
            Ok(path.with_file_name(name))
        } else {
            Err(problem())
        };
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(out: Option<&Path>, runs: &Path) -> RunFolder {
        let run = RunFolder::create(out, runs, "language").unwrap();
        fs::write(run.config(), "").unwrap();
        run
    }

    #[test]
    fn a_run_is_named_after_its_label_and_time_and_latest_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let run = started(None, &runs);
        let name = run.path().file_name().unwrap().to_str().unwrap();
        let time = name.strip_prefix("language-").unwrap();
        assert!(
            time.len() == 15 && time.starts_with("20") && &time[8..9] == "-",
            "{name}"
        );
        assert_eq!(RunFolder::open(runs.join("latest")).unwrap(), run);
        assert_eq!(RunFolder::open(runs.join("latest/")).unwrap(), run);
    }

    #[test]
    fn runs_of_one_second_get_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a", "a-2", "a-3"].map(|name| folder.path().join(name));
        assert_eq!([(); 3].map(|()| fresh(folder.path(), "a").unwrap()), names);
    }

    #[test]
    fn latest_moves_to_the_newest_run() {
        let folder = tempfile::tempdir().unwrap();
        let runs = [started(None, folder.path()), started(None, folder.path())];
        assert_eq!(RunFolder::open(folder.path().join("latest")).unwrap(), runs[1]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn latest_is_a_relative_link() {
        let folder = tempfile::tempdir().unwrap();
        let run = started(None, folder.path());
        let target = fs::read_link(folder.path().join("latest")).unwrap();
        assert_eq!(target, Path::new(run.path().file_name().unwrap()));
    }

    #[test]
    fn latest_may_be_a_text_file_that_names_a_neighbour_only() {
        let folder = tempfile::tempdir().unwrap();
        let run = started(Some(&folder.path().join("elsewhere/run")), folder.path());
        let latest = folder.path().join("elsewhere/latest");
        assert!(!latest.exists() && !folder.path().join("latest").exists());
        fs::write(&latest, "run\n").unwrap();
        assert_eq!(RunFolder::open(&latest).unwrap(), run);
        for name in ["../elsewhere/run", "", "/"] {
            fs::write(&latest, name).unwrap();
            assert!(
                matches!(RunFolder::open(&latest), Err(TrainError::NotARun { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn out_is_the_folder_and_becomes_the_latest_among_the_runs() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("mine");
        let run = started(Some(&out), folder.path());
        assert_eq!(run.path(), out);
        assert_eq!(RunFolder::open(folder.path().join("latest")).unwrap(), run);
    }

    #[test]
    fn out_that_holds_a_run_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let run = started(Some(&folder.path().join("mine")), folder.path());
        let error = RunFolder::create(Some(run.path()), folder.path(), "x").unwrap_err();
        assert!(matches!(error, TrainError::RunExists { .. }));
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn out_that_cannot_be_made_is_a_file_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = RunFolder::create(Some(&folder.path().join("file/run")), folder.path(), "x").unwrap_err();
        assert!(
            matches!(error, TrainError::File { action: "create", .. }),
            "{error}"
        );
    }

    #[test]
    fn what_holds_no_run_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().into(), folder.path().join("absent")] {
            let error = RunFolder::open(path).unwrap_err();
            assert!(matches!(error, TrainError::NotARun { .. }), "{error}");
        }
    }

    #[test]
    fn names_in_the_folder_are_those_of_the_plan() {
        let run = RunFolder { path: "r".into() };
        let names = [
            run.config(),
            run.run_json(),
            run.metrics(),
            run.samples(),
            run.checkpoint(200),
        ];
        let expected = [
            "config.toml",
            "run.json",
            "metrics.jsonl",
            "samples",
            "checkpoint/step-000200",
        ];
        assert_eq!(names, expected.map(|name| Path::new("r").join(name)));
        assert_eq!(run.checkpoint(12_345_678).file_name().unwrap(), "step-12345678");
    }

    #[test]
    fn labels_become_plain_names() {
        assert_eq!(
            ["lang/../x y", "..", "é"].map(plain),
            ["lang-..-x-y", "run", "run"]
        );
    }
}
