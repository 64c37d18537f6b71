use super::*;
use crate::solver::{Solutions, solve};
use std::collections::BTreeSet;
use std::io::Write;

const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
const SOLUTION: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

fn all(text: &str) -> Vec<Result<Entry, LineError>> {
    entries(text.as_bytes()).collect()
}

fn problem(text: &str) -> (usize, String) {
    let error = all(text).into_iter().find_map(Result::err).unwrap();
    (error.line, error.problem.to_string())
}

#[test]
fn lists_and_tables_are_read_in_every_form() {
    let (puzzle, solution): (Grid, Grid) = (PUZZLE.parse().unwrap(), SOLUTION.parse().unwrap());
    let fields: Vec<String> = PUZZLE.chars().map(String::from).collect();
    for (text, line, solved) in [
        (format!("{PUZZLE}\n"), 1, false),
        (
            format!("# a list\r\n\r\n{}\r\n", PUZZLE.replace('0', ".")),
            3,
            false,
        ),
        (fields.join(","), 1, false),
        (format!("{PUZZLE}, {SOLUTION}"), 1, true),
        (format!("puzzle,solution\n{PUZZLE},{SOLUTION}\n"), 2, true),
        (format!("Quizzes\n{PUZZLE}\n"), 2, false),
        (
            format!("source,question,answer,rating\nnowhere,{PUZZLE},{SOLUTION},3\n"),
            2,
            true,
        ),
    ] {
        let entry = Entry {
            line,
            puzzle,
            solution: solved.then_some(solution),
        };
        assert_eq!(all(&text), [Ok(entry)], "{text}");
    }
    assert!(all("").is_empty() && all("\n# nothing\n").is_empty());
}

#[test]
fn a_bad_line_is_named_and_those_after_it_are_read() {
    let text = format!("{PUZZLE}\nnonsense\n{PUZZLE}\n");
    let read = all(&text);
    assert!(read[0].is_ok() && read[2].is_ok(), "{read:?}");
    let error = read[1].clone().unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("column 1") && error.contains("'n'"),
        "{error}"
    );
}

#[test]
fn each_problem_says_what_was_expected_and_what_is_there() {
    let (line, text) = problem(&format!("puzzle,solution\n{PUZZLE}\n"));
    assert!(
        line == 2 && text.contains("2 columns") && text.contains("found 1"),
        "{text}"
    );
    let (_, text) = problem(&format!("id,puzzle\n17, {}\n", PUZZLE.replacen('7', "x", 1)));
    assert!(text.contains("column 9") && text.contains("'x'"), "{text}");
    let (_, text) = problem(&format!(
        "5{}",
        &PUZZLE.replacen('5', "0", 1)[..80].replacen('0', "5", 1)
    ));
    assert!(text.contains("digit 5 stands twice"), "{text}");
    let (_, text) = problem(&format!("{PUZZLE},{}", SOLUTION.replace('1', "9")));
    assert!(text.contains("solution of the puzzle"), "{text}");
    let (line, text) = problem(&format!("{PUZZLE}\n{}", "1".repeat(5000)));
    assert!(line == 2 && text.contains("4096"), "{text}");
    let read: Vec<_> = entries(&b"\xff\xfe\n"[..]).collect();
    assert!(read[0].clone().unwrap_err().to_string().contains("UTF-8"));
}

fn list(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn a_file_gives_pairs_and_refuses_puzzles_that_teach_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = list(folder.path(), "good.txt", &[PUZZLE.into(), PUZZLE.into()]);
    let pairs = read_pairs(&path, usize::MAX).unwrap();
    assert_eq!(
        (pairs.len(), pairs[1].solution.to_string()),
        (2, SOLUTION.to_string())
    );
    assert_eq!(read_pairs(&path, 1).unwrap().len(), 1);
    let several = format!("{}{}", &PUZZLE[..9], "0".repeat(72));
    for (line, words) in [(several, "several"), (PUZZLE.replacen('0', "1", 1), "found none")] {
        let path = list(folder.path(), "bad.txt", &[PUZZLE.into(), line]);
        let error = read_pairs(&path, usize::MAX).unwrap_err().to_string();
        assert!(
            error.contains("bad.txt: line 2") && error.contains(words),
            "{error}"
        );
    }
    let error = read_pairs(&folder.path().join("none.txt"), 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot read") && error.contains("none.txt"),
        "{error}"
    );
}

#[test]
fn a_name_that_ends_in_gz_is_unpacked_and_a_broken_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.txt.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed
        .write_all(format!("{PUZZLE}\n").repeat(50).as_bytes())
        .unwrap();
    let bytes = packed.finish().unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(read_pairs(&path, usize::MAX).unwrap().len(), 50);
    std::fs::write(&path, &bytes[..bytes.len() - 12]).unwrap();
    assert!(
        read_pairs(&path, usize::MAX)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

fn generated(count: u64) -> Vec<Pair> {
    let config = GeneratorConfig::default();
    let train = (0..count).map(|index| config.puzzle(Split::Train, index));
    train
        .chain((0..count / 4).map(|index| config.puzzle(Split::Validation, index)))
        .collect()
}

#[test]
fn a_list_is_divided_by_the_classes_of_its_solutions() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = generated(40);
    let lines: Vec<String> = pairs.iter().map(|pair| pair.puzzle.to_string()).collect();
    let path = list(folder.path(), "all.txt", &lines);
    let lists = ListsConfig {
        paths: vec![path.clone()],
        augment: Augment::None,
        ..ListsConfig::default()
    };
    let puzzles = DatasetConfig::Lists(lists.clone()).load().unwrap();
    assert_eq!(
        (puzzles.train, puzzles.validation),
        (pairs[..40].to_vec(), pairs[40..].to_vec())
    );

    // An image of a training puzzle, held out in a file of its own, takes that puzzle out of training.
    let symmetry = Symmetry::draw(&mut burn_dragon_core::api::expert::Rng::new(5));
    let image = symmetry.apply(&pairs[7].puzzle).to_string();
    let own = ListsConfig {
        validation_paths: vec![list(folder.path(), "own.txt", &[image])],
        ..lists
    };
    let puzzles = DatasetConfig::Lists(own).load().unwrap();
    assert_eq!((puzzles.validation.len(), puzzles.left_out), (1, 1));
    assert!(!puzzles.train.contains(&pairs[7]) && puzzles.train.contains(&pairs[8]));

    // A file is divided by its lines, and what is kept for another test is left out too.
    let generated = GeneratorConfig {
        puzzles: 3,
        ..GeneratorConfig::default()
    };
    let image = symmetry.apply(&pairs[9].puzzle).to_string();
    let divided = ListsConfig {
        paths: vec![path.clone()],
        validation_paths: vec![path],
        limit: Some(20),
        validation_skip: 20,
        validation_limit: Some(15),
        held_out_paths: vec![list(folder.path(), "other.txt", &[image])],
        generated: Some(generated),
        ..ListsConfig::default()
    };
    let puzzles = DatasetConfig::Lists(divided).load().unwrap();
    assert_eq!(puzzles.validation, pairs[20..35]);
    // The generator makes the same three puzzles again; none of them is held out.
    let train = [&pairs[..9], &pairs[10..20], &pairs[..3]].concat();
    assert_eq!((puzzles.train, puzzles.left_out), (train, 1));

    let path = list(folder.path(), "train.txt", &lines[..40]);
    let lists = ListsConfig {
        paths: vec![path],
        augment: Augment::None,
        ..ListsConfig::default()
    };
    let error = DatasetConfig::Lists(lists).load().unwrap_err().to_string();
    assert!(error.contains("validation part (40 puzzles in all"), "{error}");
}

#[test]
fn the_puzzles_of_a_run_are_known_again_by_their_hash() {
    let pairs = generated(4);
    let of = |train: &[Pair]| {
        Puzzles {
            train: train.to_vec(),
            validation: pairs.clone(),
            left_out: 0,
        }
        .hashes()
    };
    assert_eq!(of(&pairs), of(&pairs));
    let mut exchanged = pairs.clone();
    exchanged.swap(0, 1);
    assert_ne!(of(&pairs).training, of(&exchanged).training);
    assert_eq!(of(&pairs).validation, of(&exchanged).validation);
    assert_eq!(of(&pairs).training.sizes["puzzles"], 5);
}

#[test]
fn paths_are_made_absolute_and_a_source_is_told_in_words() {
    let mut config: DatasetConfig =
        toml::from_str("type = 'lists'\npaths = ['a.txt', '/b/c.csv.gz']\nlimit = 3").unwrap();
    config.make_absolute(Path::new("/work"));
    let DatasetConfig::Lists(lists) = &config else {
        panic!()
    };
    assert_eq!(
        lists.paths,
        [PathBuf::from("/work/a.txt"), PathBuf::from("/b/c.csv.gz")]
    );
    assert_eq!(config.in_words(), "lists of puzzles: a.txt, c.csv.gz");
    for kind in ["list", "csv"] {
        let same: DatasetConfig = toml::from_str(&format!("type = '{kind}'\npaths = ['a.txt']")).unwrap();
        assert!(matches!(same, DatasetConfig::Lists(_)), "{kind}");
    }
    assert!(DatasetConfig::default().in_words().contains("36 to 50 givens"));
    let error = toml::from_str::<DatasetConfig>("type = 'embedded'\npuzles = 3").unwrap_err();
    assert!(error.to_string().contains("puzles"), "{error}");
}

/// The public lists that are kept beside the project; where they are absent there is nothing to say.
#[test]
fn the_solver_agrees_with_the_public_lists() {
    let Some(folder) = std::env::var_os("DRAGON_DATA_DIR") else {
        eprintln!("skipped: DRAGON_DATA_DIR is not set");
        return;
    };
    let path = Path::new(&folder).join("sudoku/solved.csv.gz");
    let pairs = read_pairs(&path, 3000).unwrap();
    assert_eq!(pairs.len(), 3000);
    let solutions: BTreeSet<Grid> = pairs.iter().map(|pair| pair.solution).collect();
    assert!(solutions.len() > 2900);
    let path = Path::new(&folder).join("sudoku/magictour_top1465.txt");
    for pair in read_pairs(&path, 200).unwrap() {
        assert_eq!(solve(&pair.puzzle), Solutions::One(pair.solution));
        let filled = crate::solver::fill_singles(&pair.puzzle, crate::solver::Singles::NakedAndHidden);
        assert!(
            filled.filled() < 81,
            "singles solve none of this list: {}",
            pair.puzzle
        );
    }
}
