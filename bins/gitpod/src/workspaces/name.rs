//! Names for new workspaces.

use gitpod_routing::{IdError, WorkspaceId};
use rand::Rng;
use rand::seq::IndexedRandom;

/// A fresh name: two words that people can remember, and eleven characters that
/// nobody guesses.
pub(crate) fn new_id() -> Result<WorkspaceId, IdError> {
    let mut random = rand::rng();
    let colour = COLOURS.choose(&mut random).unwrap_or(&"plain");
    let animal = ANIMALS.choose(&mut random).unwrap_or(&"animal");
    let tail: String = (0..TAIL_LENGTH)
        .map(|_| char::from_digit(random.random_range(0..36), 36).unwrap_or('0'))
        .collect();
    format!("{colour}-{animal}-{tail}").parse()
}

const TAIL_LENGTH: usize = 11; // the longest that the grammar takes: 56 bits

const COLOURS: [&str; 32] = [
    "amber", "apricot", "aqua", "azure", "beige", "black", "blue", "bronze", "brown", "copper",
    "coral", "cream", "cyan", "emerald", "gold", "green", "grey", "indigo", "ivory", "jade",
    "lilac", "lime", "maroon", "olive", "orange", "pink", "plum", "ruby", "silver", "teal",
    "violet", "white",
];

const ANIMALS: [&str; 32] = [
    "ant", "badger", "bear", "beaver", "bison", "cat", "crane", "deer", "dingo", "dolphin",
    "eagle", "falcon", "finch", "fox", "gecko", "goose", "hare", "heron", "horse", "koala",
    "lemur", "lynx", "mole", "moose", "otter", "owl", "panda", "puma", "raven", "seal", "tiger",
    "wolf",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_words_makes_an_id() {
        for colour in COLOURS {
            for animal in ANIMALS {
                assert!(WorkspaceId::matches(&format!(
                    "{colour}-{animal}-0123456789a"
                )));
            }
        }
    }

    #[test]
    fn names_differ() {
        assert_ne!(new_id().unwrap(), new_id().unwrap());
    }
}
