//! burn_dragon_train
