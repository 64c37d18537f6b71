//! burn_dragon_cli
