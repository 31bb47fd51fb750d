//! What the shop sells.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// A record of the database; a few KB as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) price_cents: u64,
    pub(crate) stock: u64,
    pub(crate) description: String,
    pub(crate) reviews: Vec<Review>,
}

/// What a customer says of a product.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Review {
    pub(crate) author: String,
    pub(crate) date: String,
    pub(crate) stars: u64,
    pub(crate) text: String,
}

static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let text = "kettle steel handle water boils quickly and the lid closes well after months of daily use it still looks \
        new although my first one leaked from spout service replaced without question a little heavy when full but \
        solid in hand colour matches picture delivery took three days box was damaged would buy again for kitchen \
        office camping gift price is fair instructions are short";
    text.split(' ').collect()
});

impl Product {
    /// The product of an id, ever the same.
    pub(crate) fn new(id: u64, stock: u64, reviews: u64) -> Self {
        let mut dice = Dice(id);
        let review = |dice: &mut Dice| Review {
            author: format!("customer-{}", dice.below(100_000)),
            date: format!("2025-{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(28)),
            stars: 1 + dice.below(5),
            text: dice.words(30),
        };
        Self {
            id,
            name: dice.words(3),
            price_cents: 199 + dice.below(50_000),
            stock,
            description: dice.words(60),
            reviews: (0..reviews).map(|_| review(&mut dice)).collect(),
        }
    }
}

/// `SplitMix64`: a record is drawn from its id.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn words(&mut self, n: u64) -> String {
        let words: Vec<_> = (0..n).map(|_| WORDS[self.below(WORDS.len() as u64) as usize]).collect();
        words.join(" ")
    }
}
