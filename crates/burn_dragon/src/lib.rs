//! burn_dragon
