//! Evidence columns on handwritten characters.

#[path = "../examples/omniglot/mod.rs"]
mod omniglot;

use burn_dragon_vision::api::evidence::{Memory, ObjectModel, Rules, rotated, trials};
use std::path::PathBuf;

#[test]
fn turned_characters_are_recognised_and_five_columns_need_fewer_steps() {
    let Some(folder) = std::env::var_os("DRAGON_DATA_DIR").map(|data| PathBuf::from(data).join("omniglot"))
    else {
        return println!("skipped: DRAGON_DATA_DIR is not set");
    };
    if !folder.join("images_background_small1.zip").exists() {
        return println!(
            "skipped: {} has no images_background_small1.zip",
            folder.display()
        );
    }
    let characters = omniglot::characters(&folder, 12).unwrap();
    let rules = Rules {
        most_steps: 40,
        ..Rules::default()
    };
    let learn = |(name, picture): &(String, _)| ObjectModel::learn(name.as_str(), picture, &rules);
    let memory = Memory {
        objects: characters.iter().map(learn).collect(),
    };
    let of = |columns| {
        trials(
            &memory,
            &|object, angle| rotated(&characters[object].1, angle),
            columns,
            1,
            &rules,
            1337,
        )
    };
    let (one, five) = (of(1), of(5));
    println!("{one:?}\n{five:?}");
    assert!(one.accuracy >= 0.7 && five.accuracy >= 0.8, "{one:?} {five:?}"); // chance: 0.08
    assert!(
        five.steps < one.steps && five.rotation_error < 10.0,
        "{one:?} {five:?}"
    );
}
