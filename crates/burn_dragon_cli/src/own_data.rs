//! Data of one's own in a project of `dragon new`, family by family.

/// Data of one's own in a project of a family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnData {
    /// Folder or file for it; a folder ends in a slash.
    pub(crate) path: &'static str,
    /// What belongs there, in words.
    pub(crate) what: &'static str,
    /// Table `[dataset]` of the project, with comments.
    pub(crate) table: &'static str,
    /// Commands for a trained model: what they do, and the words after `dragon`.
    pub(crate) uses: &'static [(&'static str, &'static str)],
}

/// Texts for the language family.
pub(crate) const TEXTS: OwnData = OwnData {
    path: "texts/",
    what: "texts (.txt, .md, also .gz, in any number of folders)",
    table: "[dataset]
type = \"text\"
paths = [\"texts/\"]                  # files, folders and patterns, from the folder in which the command runs
train_ratio = 0.9                   # share of the text for training; the rest is held out
# document_separator = \"\\n\\n\\n\"    # text between the documents of a file; without it each file is a document

[dataset.tokenizer]
type = \"byte\"                       # or \"char\"; or \"bpe\" with vocab_size = 4096
",
    uses: &[
        ("let it continue a text", "generate runs/latest \"Once upon a time\" --max-tokens 100"),
        ("talk to it", "chat runs/latest"),
        ("evaluate it on the held-out text", "eval runs/latest"),
    ],
};

/// Lists of puzzles for the sudoku family.
pub(crate) const PUZZLES: OwnData = OwnData {
    path: "puzzles.csv",
    what: "puzzles (a line each: 81 digits, 0 or . for an empty cell; also with a comma and the solution)",
    table: "[dataset]
type = \"lists\"
paths = [\"puzzles.csv\"]             # files, from the folder in which the command runs; .gz is unpacked
augment = \"symmetries\"              # a new random symmetry each time a puzzle is shown
",
    uses: &[("evaluate it on the held-out puzzles", "eval runs/latest")],
};

/// Graphs for the graph family.
pub(crate) const GRAPHS: OwnData = OwnData {
    path: "graphs.json",
    what: "graphs (a JSON object a line: \"edges\", \"features\" or \"source\", \"label\" or \"labels\", \"part\")",
    table: "[dataset]
type = \"json\"
path = \"graphs.json\"                # a file, from the folder in which the command runs
",
    uses: &[
        ("evaluate it on the held-out graphs", "eval runs/latest"),
        ("predict the classes of graphs", "predict runs/latest graphs.json"),
    ],
};

/// Pictures for the vision family.
pub(crate) const PICTURES: OwnData = OwnData {
    path: "pictures/",
    what: "pictures (train/CLASS/*.png or .jpg, and val/CLASS/...)",
    table: "[dataset]
type = \"folder\"
path = \"pictures/\"                  # a folder or a .zip, from the folder in which the command runs
",
    uses: &[
        ("evaluate it on the held-out pictures", "eval runs/latest"),
        ("name what is in pictures", "predict runs/latest pictures/val"),
    ],
};
