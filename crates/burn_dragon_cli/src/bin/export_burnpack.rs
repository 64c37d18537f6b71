//! `export_burnpack`: a checkpoint's model as one self-describing file.

fn main() -> std::process::ExitCode {
    burn_dragon_cli::verb("export_burnpack", std::env::args_os())
}
