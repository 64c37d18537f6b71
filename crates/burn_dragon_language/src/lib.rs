//! burn_dragon_language
