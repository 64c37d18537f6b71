//! What a stranger's file can do: nothing. One class of malformed file a test; the files are in `attacks/`.
//!
//! `DRAGON_ATTACKS=write cargo test -p burn_dragon_cli --test attacks the_folder` writes `attacks/` anew.

#![cfg(test)]
#![cfg(feature = "train")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

/// The attacks on one door: `class: "part of what is said" = bytes;`, each a test of its own.
macro_rules! attacks {
    ($door:ident, $ending:literal: $($class:ident: $says:literal = $bytes:expr;)*) => {
        /// All of them.
        pub(crate) fn all() -> Vec<crate::attack::Attack> {
            vec![$(made::$class()),*]
        }

        mod made {
            #[allow(unused_imports, reason = "some need no more than bytes")]
            use super::*;

            $(pub(super) fn $class() -> crate::attack::Attack {
                crate::attack::Attack {
                    door: crate::doors::Door::$door,
                    class: stringify!($class),
                    says: $says,
                    bytes: Vec::from($bytes),
                }
            })*
        }

        mod is_refused {
            $(#[test]
            fn $class() {
                super::made::$class().is_refused();
            })*
        }
    };
}

mod attack;
mod burnpack;
mod config;
mod corpus;
mod craft;
mod doors;
mod escapes;
mod flips;
mod folders;
mod manifest;
mod model;
mod parts;
mod pickle;
mod program;
mod safetensors;
mod state;
mod table;
mod tokenizer;

/// Every attack that is one file.
fn all() -> Vec<attack::Attack> {
    [
        burnpack::all(),
        model::all(),
        state::all(),
        safetensors::all(),
        pickle::all(),
        manifest::all(),
        parts::all(),
        config::all(),
        tokenizer::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
