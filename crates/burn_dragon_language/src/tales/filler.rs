//! Filler text: sentences about the weather, of an exact total length.

use burn_dragon_core::api::expert::Rng;

use super::words::{LANDSCAPE, WEATHER, WHILE, pick};

/// Bytes of the shortest sentence, with the space before it.
pub(super) const SHORTEST: usize = 24;

/// Sentences about the weather, each with a space before it, of exactly `bytes` bytes in all.
///
/// # Panics
/// If that is between 0 and [`SHORTEST`].
pub(super) fn filler(bytes: usize, rng: &mut Rng) -> String {
    assert!(
        bytes == 0 || bytes >= SHORTEST,
        "filler: no sentence has {bytes} bytes"
    );
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let left = bytes - text.len();
        let sentence = if left < 2 * SHORTEST {
            last(left, rng)
        } else {
            any(rng)
        };
        // What is left must be enough for another sentence.
        if left == sentence.len() || left >= sentence.len() + SHORTEST {
            text.push_str(&sentence);
        }
    }
    text
}

fn any(rng: &mut Rng) -> String {
    sentence(pick(rng, &WEATHER), pick(rng, &LANDSCAPE), pick(rng, &WHILE))
}

/// Sentence of exactly `bytes` bytes. There is one for every length from [`SHORTEST`] to twice that.
fn last(bytes: usize, rng: &mut Rng) -> String {
    let all = WEATHER.iter().flat_map(|weather| {
        LANDSCAPE
            .iter()
            .flat_map(move |place| WHILE.iter().map(move |time| (weather, place, time)))
    });
    let frame = sentence("", "", "").len();
    let fitting: Vec<_> = all
        .filter(|(weather, place, time)| frame + weather.len() + place.len() + time.len() == bytes)
        .collect();
    let (weather, place, time) = fitting[rng.below(fitting.len())];
    sentence(weather, place, time)
}

fn sentence(weather: &str, place: &str, time: &str) -> String {
    format!(" {weather} over the {place}{time}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_from_the_shortest_sentence_on_can_be_had() {
        let mut rng = Rng::new(1);
        for bytes in [0].into_iter().chain(SHORTEST..400) {
            let text = filler(bytes, &mut rng);
            assert_eq!(text.len(), bytes, "{text}");
            assert!(
                text.is_empty() || (text.starts_with(' ') && text.ends_with('.')),
                "{text}"
            );
        }
    }

    #[test]
    fn no_sentence_is_shorter() {
        let shortest = |words: &[&str]| words.iter().map(|word| word.len()).min().unwrap();
        let parts: usize = [&WEATHER[..], &LANDSCAPE, &WHILE].map(shortest).iter().sum();
        assert_eq!(sentence("", "", "").len() + parts, SHORTEST);
    }
}
