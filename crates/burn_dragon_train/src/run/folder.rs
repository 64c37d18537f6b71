//! Folder of a run: created once, never shared, found again through `runs/latest`.

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

/// Folder of a run, and the names of the files in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    /// Whether `latest`, beside the folder, may name this run.
    listed: bool,
}

impl RunFolder {
    /// Creates the folder of a new run.
    ///
    /// With `out`, this folder is used; it may exist, but must not contain a run. Without `out`, it is
    /// `<runs_root>/<label>-<UTC date-time>`, with `-2`, `-3`... if runs start in the same second. It is
    /// [among](Self::among) the runs of `runs_root`, unless `out` is elsewhere.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunExists`] if `out` contains a run; [`TrainError::File`] if the disk refuses.
    pub fn create(out: Option<&Path>, runs_root: &Path, label: &str) -> Result<Self, TrainError> {
        let path = match out {
            Some(out) => claim(out)?,
            None => fresh(
                runs_root,
                &format!("{}-{}", plain_name(label), stamp(SystemTime::now())),
            )?,
        };
        Ok(Self { path, listed: false }.among(runs_root))
    }

    /// The run as one of those in `runs_root`, if its folder is there: the trainer makes `<runs_root>/latest` name it
    /// when its first useful checkpoint is on the disk. A checkpoint is useful if it was due (a periodic one, or the best so
    /// far), or if the run ended by itself. So a run that was stopped before leaves `latest` as it was.
    #[must_use]
    pub fn among(self, runs_root: &Path) -> Self {
        let listed = lies_in(&self.path, runs_root);
        Self { listed, ..self }
    }

    /// Opens the folder of an existing run. `runs/latest` is resolved, so the path remains that of the same run when a
    /// newer one starts.
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
                "it is a part of the run {run}; use `--resume {run}`"
            )));
        }
        let shown = path.display();
        if !path.is_dir() {
            return Err(not_a_run(format!("there is no folder {shown}")));
        }
        if !path.join(CONFIG).is_file() {
            return Err(not_a_run(format!("{shown} contains no {CONFIG}")));
        }
        Ok(Self { path, listed: false })
    }

    /// Makes `latest` name the run, if it is [among](Self::among) the runs of a folder.
    pub(crate) fn become_latest(&self) -> Result<(), TrainError> {
        if self.listed {
            point_latest(&self.path)
        } else {
            Ok(())
        }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of `config.toml`, the resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Path of `run.json`, a [`RunInfo`](super::RunInfo).
    pub fn run_json(&self) -> PathBuf {
        self.path.join(RUN_JSON)
    }

    /// Path of `metrics.jsonl`, a [`MetricsLog`](super::MetricsLog).
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// Path of `samples/`: the files of samples, in a folder for each step with samples.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples")
    }

    /// Path of `checkpoint/`, the folder of all checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Path of `checkpoint/step-000200`, the checkpoint after 200 steps.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints().join(format!("step-{step:06}"))
    }
}

/// Makes `out` the folder of a run.
fn claim(out: &Path) -> Result<PathBuf, TrainError> {
    // Not only a complete run is refused: a folder with an unrelated config.toml would lose it.
    if [CONFIG, RUN_JSON, METRICS, CHECKPOINTS]
        .iter()
        .any(|name| out.join(name).exists())
    {
        return Err(TrainError::RunExists { path: out.into() });
    }
    create_dirs(&Os, out).map_err(TrainError::on_file)?;
    Ok(out.into())
}

/// Creates a new folder. Creation fails if it exists, so there is no race with another process.
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

/// Label as part of a file name that is valid on every system.
pub(crate) fn plain_name(label: &str) -> String {
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

/// Sets `latest`, beside the run, to its name.
fn point_latest(run: &Path) -> Result<(), TrainError> {
    // Canonical, since `--out runs/.` or `x/..` has no last component; the run exists by now.
    let run = fs::canonicalize(run).map_err(TrainError::file("find", run))?;
    let (latest, name) = (run.with_file_name(LATEST), run.file_name().unwrap_or_default());
    // Some disks do not support links; the text file works on all of them.
    symlink(Path::new(name), &latest)
        .or_else(|_| write_atomic(&latest, format!("{}\n", name.display()).as_bytes()))
}

/// Replaces a link by a rename, so that a reader sees the old one or the new one.
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

/// Run that contains a path inside its checkpoints.
fn run_around(path: &Path) -> Option<&Path> {
    let all = path.ancestors().take(2);
    let all = all.filter(|folder| folder.file_name().is_some_and(|name| name == CHECKPOINTS));
    all.filter_map(Path::parent)
        .find(|run| run.join(CONFIG).is_file())
}

/// Folder of a path: itself, or the target of the link or text file `latest`.
fn follow(path: &Path) -> io::Result<PathBuf> {
    // Rebuilt without a trailing slash, which would make the system resolve the link.
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
        run.become_latest().unwrap();
        run
    }

    fn opened(path: &Path) -> PathBuf {
        RunFolder::open(path).unwrap().path
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
        assert_eq!(opened(&runs.join("latest")), run.path());
        assert_eq!(opened(&runs.join("latest/")), run.path());
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
        assert_eq!(opened(&folder.path().join("latest")), runs[1].path());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn latest_names_a_run_only_when_it_is_asked_to_and_the_run_is_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let latest = folder.path().join("latest");
        let run = RunFolder::create(None, folder.path(), "language").unwrap();
        fs::write(run.config(), "").unwrap();
        assert!(!latest.exists());
        let again = RunFolder::open(run.path()).unwrap();
        again.become_latest().unwrap();
        assert!(!latest.exists());
        again
            .clone()
            .among(&folder.path().join("elsewhere"))
            .become_latest()
            .unwrap();
        assert!(!latest.exists());
        again.among(folder.path()).become_latest().unwrap();
        assert_eq!(opened(&latest), run.path());
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
        assert_eq!(opened(&latest), run.path());
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
        assert_eq!(opened(&folder.path().join("latest")), run.path());
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
        let run = RunFolder {
            path: "r".into(),
            listed: false,
        };
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
            ["lang/../x y", "..", "é"].map(plain_name),
            ["lang-..-x-y", "run", "run"]
        );
    }
}
