//! `train`: the verb of that name, as a program of its own.

fn main() -> std::process::ExitCode {
    burn_dragon_cli::verb("train", std::env::args_os())
}
