#![allow(missing_docs, clippy::all)]
use burn_dragon_sudoku::api::Sudoku;
use burn_dragon_train::api::{RunRequest, run};
fn main() {
    let mut request = RunRequest {
        assignments: std::env::args().skip(1).collect(),
        json: false,
        ..Default::default()
    };
    request.out = request
        .assignments
        .iter()
        .position(|a| a.starts_with("out="))
        .map(|i| request.assignments.remove(i)[4..].into());
    match run::<Sudoku>(&request) {
        Ok(_) => {}
        Err(e) => {
            eprintln!("error: {e}");
            std::process::exit(1)
        }
    }
}
