//! `dragon`: every verb.

fn main() -> std::process::ExitCode {
    burn_dragon_cli::dragon(std::env::args_os())
}
