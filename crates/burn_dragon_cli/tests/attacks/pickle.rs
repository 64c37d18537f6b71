//! `.pt` files: pickles in zips, read only to be imported, and nothing of them is run.

use burn_dragon_testing::pt::{Entry, Pickle, entries, sound, storages, views, zip};

/// A sound archive around another pickle.
fn pickled(pickle: Pickle) -> Vec<u8> {
    zip(&entries(pickle.raw(b".").0, storages(&views())))
}

/// The sound archive with a change to the entry of the first weights.
fn weights(change: impl Fn(&mut Entry)) -> Vec<u8> {
    let mut entries = entries(Pickle::of(&views()), storages(&views()));
    change(
        entries
            .iter_mut()
            .find(|entry| entry.name == "weights/data/0")
            .unwrap(),
    );
    zip(&entries)
}

attacks! { Pickle, "pt":
    not_a_zip: "zip" = b"PK\x03\x04 and then nothing that is one, for a while longer";
    cut_off: "zip" = &sound()[..sound().len() / 2];
    calls_the_system: "" = pickled(Pickle::new().global("os", "system").raw(b"(").text("true").raw(b"tR"));
    evaluates: "" = pickled(Pickle::new().global("builtins", "eval").raw(b"(").text("1").raw(b"tR"));
    builds_by_instance: "" = pickled(Pickle::new().raw(b"(S'true'\nios\nsystem\n"));
    nested_deeply: "" = pickled(Pickle::new().raw(&b"(".repeat(3000)));
    text_says_it_is_long: "" = pickled(Pickle::new().raw(b"X\xff\xff\xff\xff"));
    recalls_what_was_not_kept: "" = pickled(Pickle::new().raw(b"j\xff\xff\xff\xff"));
    ends_without_a_value: "" = pickled(Pickle::new());
    compressed: "" = weights(|entry| entry.method = 8);
    encrypted: "" = weights(|entry| entry.flags = 1);
    sum_wrong: "" = weights(|entry| entry.crc = Some(0));
    length_lies: "" = weights(|entry| entry.length = Some(u32::MAX - 1));
    header_elsewhere: "" = weights(|entry| entry.header_at = Some(u32::MAX - 1));
    name_upwards: "" = weights(|entry| entry.name = "weights/../../data/0".into());
    name_absolute: "" = weights(|entry| entry.name = "/etc/passwd".into());
    name_disagrees: "" = weights(|entry| entry.local_name = Some("weights/data/9".into()));
    shape_overflows: "" = {
        let mut views = views();
        views[0].1.sizes = vec![1 << 40, 1 << 40];
        zip(&entries(Pickle::of(&views), storages(&burn_dragon_testing::pt::views())))
    };
    view_outside_its_storage: "" = {
        let mut views = views();
        views[0].1.offset = 1 << 40;
        zip(&entries(Pickle::of(&views), storages(&burn_dragon_testing::pt::views())))
    };
}
