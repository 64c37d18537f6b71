//! `infer`: generation under the flags that BDH users know.

fn main() -> std::process::ExitCode {
    burn_dragon_cli::verb("infer", std::env::args_os())
}
