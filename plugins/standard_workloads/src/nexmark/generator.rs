//! The stream: which event has which number, and in which order they come. `docs/nexmark.md` has the same in prose.
//!
//! The distributions are those of the generator of Apache Beam. Each event follows from its number and the seed alone.

use plugin_api::{Parameter, Parameters, WorkloadSpec};

use super::event::{Auction, Bid, Event, Person, Text};
use crate::random::{Stream, mix, rnd, u01};

/// Of 50 events that follow each other the first is a person, three are auctions, and the others are bids.
const CYCLE: u64 = 50;
const PEOPLE: u64 = 1;
const AUCTIONS: u64 = 3;

/// The number of the first person and of the first auction.
pub(super) const FIRST_ID: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// Of so many people, and of so many auctions, one at a time is hot.
const HOT: u64 = 100;
/// All but one in so many are for the hot one.
const HOT_AUCTIONS: u64 = 2;
const HOT_BIDDERS: u64 = 4;
const HOT_SELLERS: u64 = 4;

/// So many of the latest auctions and people take part, and so many that are yet to come.
pub(super) const AUCTIONS_IN_FLIGHT: u64 = 100;
const ACTIVE_PEOPLE: u64 = 1000;
pub(super) const LEAD: u64 = 10;

/// A prime that divides no size of a group up to `MAX_DISORDER`, so that the steps within a group come to each event once.
const STEP: u64 = 953;
const MAX_DISORDER: u64 = 900;

/// The mean number of bytes of an event, with its text.
const PERSON_BYTES: u64 = 200;
const AUCTION_BYTES: u64 = 500;
const BID_BYTES: u64 = 100;

const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

/// The events of a run.
pub(crate) struct Generator {
    seed: u64,
    total_events: u64,
    /// Events in a second of event time.
    rate: u64,
    /// How many events that follow each other come in another order.
    disorder: u64,
}

impl Generator {
    pub(super) fn parameters() -> Vec<Parameter> {
        let disorder = "how many events that follow each other in time arrive in another order; 1, or another divisor of 952 as 2, 4, 7 \
                        or 8, for none";
        vec![
            Parameter::integer("rate", "how many events a second of event time has", 1000, 1, 10_000_000),
            Parameter::integer("disorder", disorder, 100, 1, MAX_DISORDER),
        ]
    }

    pub(super) fn new(spec: &WorkloadSpec, parameters: &Parameters) -> Self {
        let (rate, disorder) = (parameters.integer("rate"), parameters.integer("disorder"));
        Self { seed: spec.seed, total_events: spec.total_items, rate, disorder }
    }

    /// The number of the event that comes as item `index`. The last group stays in order if it is not whole, so that the
    /// events of a run are the same in any disorder. With the step of Beam a group stays in order, too, if its size
    /// divides `STEP` − 1.
    pub(super) fn number(&self, index: u64) -> u64 {
        let place = index % self.disorder;
        let first = index - place;
        if self.total_events.saturating_sub(first) < self.disorder {
            return index;
        }
        first + place * STEP % self.disorder
    }

    /// When event `number` happens: milliseconds from the start of the stream.
    pub(super) fn time(&self, number: u64) -> u64 {
        let (seconds, rest) = (number / self.rate, number % self.rate);
        seconds.wrapping_mul(1000).wrapping_add(rest * 1000 / self.rate)
    }

    /// The time that no event from item `index` on is earlier than: that of the first of its group.
    pub(super) fn watermark(&self, index: u64) -> u64 {
        let first = index - index % self.disorder;
        let in_order = self.total_events.saturating_sub(first) < self.disorder;
        self.time(if in_order { index } else { first })
    }

    pub(super) fn event(&self, number: u64) -> Event {
        match number % CYCLE {
            0 => Event::Person(self.person(number)),
            1..=AUCTIONS => Event::Auction(self.auction(number)),
            _ => Event::Bid(self.bid(number)),
        }
    }

    /// All events in order.
    pub(super) fn events(&self) -> impl Iterator<Item = Event> {
        (0..self.total_events).map(|number| self.event(number))
    }

    /// The person with this id, if they register in the run.
    pub(super) fn person_of(&self, id: u64) -> Option<Person> {
        let number = (id - FIRST_ID) / PEOPLE * CYCLE;
        (number < self.total_events).then(|| self.person(number))
    }

    /// The auction with this id, if it opens in the run.
    pub(super) fn auction_of(&self, id: u64) -> Option<Auction> {
        let place = id - FIRST_ID;
        let number = place / AUCTIONS * CYCLE + PEOPLE + place % AUCTIONS;
        (number < self.total_events).then(|| self.auction(number))
    }

    // An event of a run goes through one of three functions: the calls took a twentieth of q1.
    #[inline(always)]
    fn person(&self, number: u64) -> Person {
        let draws = self.draws(number);
        let name = [draws.of(0, &FIRST_NAMES), " ", draws.of(1, &LAST_NAMES)];
        Person {
            number,
            time: self.time(number),
            id: FIRST_ID + last_person(number),
            name: text(&name),
            city: text(&[draws.of(2, &CITIES)]),
            state: text(&[draws.of(3, &STATES)]),
        }
    }

    #[inline(always)]
    fn auction(&self, number: u64) -> Auction {
        let (draws, time) = (self.draws(number), self.time(number));
        let hot = last_person(number) / HOT * HOT;
        let seller = if draws.below(0, HOT_SELLERS) > 0 { hot } else { draws.person(1, number) };
        let initial_bid = draws.price(3);
        // Until as many more auctions have opened as take part at a time, in the mean.
        let later = number.wrapping_add(AUCTIONS_IN_FLIGHT * CYCLE / AUCTIONS);
        let horizon = self.time(later).saturating_sub(time);
        Auction {
            number,
            time,
            id: FIRST_ID + last_auction(number),
            seller: FIRST_ID + seller,
            category: FIRST_CATEGORY + draws.below(2, CATEGORIES),
            initial_bid,
            reserve: initial_bid + draws.price(4),
            expires: time.wrapping_add(1 + draws.below(5, horizon.saturating_mul(2).max(1))),
        }
    }

    #[inline(always)]
    fn bid(&self, number: u64) -> Bid {
        let draws = self.draws(number);
        let last = last_auction(number);
        let is_hot = draws.below(0, HOT_AUCTIONS) > 0;
        let auction = if is_hot { last / HOT * HOT } else { draws.auction(1, last) };
        // The second of its people, so that the hot bidder is not the hot seller.
        let hot = last_person(number) / HOT * HOT + 1;
        let bidder = if draws.below(2, HOT_BIDDERS) > 0 { hot } else { draws.person(3, number) };
        Bid {
            number,
            time: self.time(number),
            auction: FIRST_ID + auction,
            bidder: FIRST_ID + bidder,
            price: draws.price(4),
        }
    }

    /// Appends an event's bytes: its words, and then letters, so that it has about its mean number of bytes.
    pub(super) fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let (number, mean) = match event {
            Event::Person(person) => (person.number, PERSON_BYTES),
            Event::Auction(auction) => (auction.number, AUCTION_BYTES),
            Event::Bid(bid) => (bid.number, BID_BYTES),
        };
        let start = out.len();
        event.encode(out);
        let (draws, mean) = (self.draws(number), mean - (out.len() - start) as u64);
        let length = mean - mean / 5 + draws.below(6, mean / 5 * 2 + 1);
        let end = out.len() + length as usize;
        for place in 0..length.div_ceil(8) {
            out.extend_from_slice(&draws.letters(7 + place));
        }
        out.truncate(end);
    }

    fn draws(&self, number: u64) -> Draws {
        Draws(rnd(self.seed, Stream::DATA, number))
    }
}

/// The random numbers of an event, each by its place.
struct Draws(u64);

impl Draws {
    fn word(&self, place: u64) -> u64 {
        mix(self.0.wrapping_add(place))
    }

    /// A number from 0 to `count` − 1.
    fn below(&self, place: u64, count: u64) -> u64 {
        ((u128::from(self.word(place)) * u128::from(count)) >> 64) as u64
    }

    fn of<'a>(&self, place: u64, names: &[&'a str]) -> &'a str {
        names[self.below(place, names.len() as u64) as usize]
    }

    /// From 1 to 10⁶ dollars in cents, as many between 1 and 10 as between 10 and 100.
    fn price(&self, place: u64) -> u64 {
        let decades = 6.0 * std::f64::consts::LOG2_10;
        libm::round(100.0 * libm::exp2(u01(self.word(place)) * decades)) as u64
    }

    /// One of the latest people, or of the next: counted from 0.
    fn person(&self, place: u64, number: u64) -> u64 {
        let people = last_person(number) + 1;
        let active = people.min(ACTIVE_PEOPLE);
        people - active + self.below(place, active + LEAD)
    }

    /// One of the latest auctions up to `last`, or of the next: counted from 0.
    fn auction(&self, place: u64, last: u64) -> u64 {
        let first = last.saturating_sub(AUCTIONS_IN_FLIGHT);
        first + self.below(place, last - first + 1 + LEAD)
    }

    /// Eight letters from a to p.
    fn letters(&self, place: u64) -> [u8; 8] {
        let low_halves = self.word(place) & 0x0f0f_0f0f_0f0f_0f0f;
        (low_halves + 0x6161_6161_6161_6161).to_le_bytes()
    }
}

/// The last person up to event `number`, counted from 0.
fn last_person(number: u64) -> u64 {
    number / CYCLE
}

/// The last auction up to event `number`, which is an auction or a bid, counted from 0.
pub(super) fn last_auction(number: u64) -> u64 {
    number / CYCLE * AUCTIONS + (number % CYCLE - PEOPLE).min(AUCTIONS - 1)
}

/// As much of the parts as fits.
pub(super) fn text<const N: usize>(parts: &[&str]) -> Text<N> {
    let mut words = [[0; 8]; N];
    let bytes = parts.iter().flat_map(|part| part.bytes());
    words.as_flattened_mut().iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
    words.map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn generator(total_events: u64, rate: u64, disorder: u64) -> Generator {
        Generator { seed: 42, total_events, rate, disorder }
    }

    #[test]
    fn kinds_come_as_often_as_they_must() {
        let stream = generator(50_000, 1000, 1);
        let (mut people, mut auctions, mut bids) = (0, 0, 0);
        for event in stream.events() {
            match event {
                Event::Person(_) => people += 1,
                Event::Auction(_) => auctions += 1,
                Event::Bid(_) => bids += 1,
            }
        }
        assert_eq!((people, auctions, bids), (1000, 3000, 46_000));
    }

    #[test]
    fn ids_follow_each_other_and_lead_back_to_the_event() {
        let stream = generator(5_000, 1000, 1);
        let (mut person_id, mut auction_id) = (FIRST_ID, FIRST_ID);
        for event in stream.events() {
            match event {
                Event::Person(person) => {
                    assert_eq!(person.id, person_id);
                    assert_eq!(stream.person_of(person_id), Some(person));
                    person_id += 1;
                }
                Event::Auction(auction) => {
                    assert_eq!(auction.id, auction_id);
                    assert_eq!(stream.auction_of(auction_id), Some(auction));
                    auction_id += 1;
                }
                Event::Bid(bid) => assert!(bid.auction <= auction_id - 1 + LEAD, "{bid:?}"),
            }
        }
        assert_eq!((stream.person_of(person_id), stream.auction_of(auction_id)), (None, None));
    }

    #[test]
    fn half_of_the_bids_are_for_the_hot_auction_and_three_quarters_by_the_hot_bidder() {
        let bids: Vec<Bid> = generator(100_000, 1000, 1).events().filter_map(|event| event.bid()).collect();
        let share = |is_hot: fn(&Bid) -> bool| {
            bids.iter().filter(|bid| is_hot(bid)).count() as f64 / bids.len() as f64
        };
        let auctions = share(|bid| bid.auction - FIRST_ID == last_auction(bid.number) / HOT * HOT);
        let bidders = share(|bid| bid.bidder - FIRST_ID == last_person(bid.number) / HOT * HOT + 1);
        // A few more by chance, as the others are drawn from all.
        assert!((0.49..0.52).contains(&auctions), "{auctions}");
        assert!((0.74..0.77).contains(&bidders), "{bidders}");
    }

    #[test]
    fn prices_are_spread_evenly_over_their_decades() {
        let mut decades = [0; 6];
        for bid in generator(100_000, 1000, 1).events().filter_map(|event| event.bid()) {
            assert!((100..=100_000_000).contains(&bid.price), "{bid:?}");
            decades[(bid.price.ilog10() as usize - 2).min(5)] += 1;
        }
        let mean = decades.iter().sum::<u32>() / 6;
        assert!(decades.iter().all(|count| count.abs_diff(mean) < mean / 10), "{decades:?}");
    }

    #[test]
    fn events_have_their_mean_number_of_bytes() {
        let stream = generator(20_000, 1000, 1);
        let mut sizes = [(0, 0); 3];
        for event in stream.events() {
            let mut bytes = Vec::new();
            stream.encode(&event, &mut bytes);
            assert_eq!(Event::decode(&bytes), Ok(event));
            let (count, total) = &mut sizes[bytes[0] as usize];
            *count += 1;
            *total += bytes.len();
        }
        for ((count, total), mean) in sizes.into_iter().zip([PERSON_BYTES, AUCTION_BYTES, BID_BYTES]) {
            let seen = total as f64 / f64::from(count);
            assert!((seen - mean as f64).abs() < 5.0, "{seen} of {mean}");
        }
    }

    #[test]
    fn a_whole_group_is_in_order_exactly_if_its_size_divides_952() {
        for disorder in 2..=MAX_DISORDER {
            let stream = generator(disorder, 1000, disorder);
            let in_order = (0..disorder).all(|index| stream.number(index) == index);
            assert_eq!(in_order, 952_u64.is_multiple_of(disorder), "{disorder}");
        }
    }

    proptest! {
        #[test]
        fn disorder_moves_events_within_their_group_only(total in 0_u64..3000, disorder in 1..=MAX_DISORDER) {
            let stream = generator(total, 1000, disorder);
            let mut numbers: Vec<u64> = (0..total).map(|index| stream.number(index)).collect();
            for (index, number) in (0..).zip(&numbers) {
                prop_assert_eq!(index / disorder, number / disorder);
            }
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..total).collect::<Vec<_>>());
        }

        #[test]
        fn no_event_is_earlier_than_the_watermark_of_any_item_before_it(
            total in 1_u64..2000, disorder in 1..=MAX_DISORDER, rate in 1_u64..3000
        ) {
            let stream = generator(total, rate, disorder);
            let mut earliest = u64::MAX;
            for index in (0..total).rev() {
                earliest = earliest.min(stream.time(stream.number(index)));
                prop_assert!(stream.watermark(index) <= earliest);
                prop_assert!(index == 0 || stream.watermark(index - 1) <= stream.watermark(index));
                // It lags by a group at most.
                prop_assert!(stream.watermark(index) >= stream.time(index.saturating_sub(disorder)));
            }
        }

        #[test]
        fn time_is_that_of_the_rate_and_never_falls(number in 0..u64::MAX / 2000, rate in 1_u64..10_000_000) {
            let stream = generator(0, rate, 1);
            let exact = u128::from(number) * 1000 / u128::from(rate);
            prop_assert_eq!(u128::from(stream.time(number)), exact);
            prop_assert!(stream.time(number) <= stream.time(number + 1));
        }
    }
}
