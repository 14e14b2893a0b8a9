//! Which participant of a block comes after which.
//!
//! An engine may leave something behind that slows whoever comes next: heat, memory to be freed, files to be written. If
//! a participant had the same predecessor in every block, its row alone would bear that. So over all blocks each
//! participant follows each other one about as often, and has each place about as often (Williams, "Experimental designs
//! balanced for the estimation of residual effects of treatments", Aust. J. Sci. Res. A 2, 1949).
//!
//! "About as often" is: the counts of two ordered pairs of neighbours differ by at most one, whatever the number of blocks.
//! The only exception is an odd number n of participants in n blocks (or 3n, 5n and so on), where they differ by two: with 3 or 5
//! participants no orders of n blocks do better (a complete digraph of 4 or 6 vertices has no decomposition into Hamiltonian
//! cycles: Bermond and Faber, "Decomposition of the complete directed graph into k-circuits", J. Comb. Theory B 21, 1976),
//! with 7 those of a table here do. The counts of places differ by at most one for an even number of participants, and by
//! at most two for an odd one.

/// Five participants in ten blocks, such that the first few of them are as even as they can be, however few. Found by
/// search.
const FIVE: [[usize; 5]; 10] = [
    [0, 1, 2, 3, 4],
    [3, 2, 0, 4, 1],
    [2, 4, 3, 1, 0],
    [4, 0, 2, 1, 3],
    [1, 3, 0, 2, 4],
    [0, 3, 1, 4, 2],
    [2, 1, 4, 0, 3],
    [1, 0, 4, 3, 2],
    [3, 4, 1, 2, 0],
    [4, 2, 3, 0, 1],
];

/// Seven participants in seven blocks: each ordered pair of neighbours comes exactly once. Found by search.
const SEVEN: [[usize; 7]; 7] = [
    [0, 1, 2, 3, 4, 5, 6],
    [4, 0, 5, 1, 3, 6, 2],
    [3, 5, 4, 6, 0, 2, 1],
    [2, 4, 3, 0, 6, 1, 5],
    [5, 2, 6, 4, 1, 0, 3],
    [6, 3, 1, 4, 2, 5, 0],
    [1, 6, 5, 3, 2, 0, 4],
];

/// The participants' numbers in the order of each block.
///
/// In the first block they stand in the order of their numbers. With `twins`, which are one backend under two names, the
/// numbers are exchanged such that on average over the blocks no two participants stand further apart than the twins: what
/// drifts within a block then moves the twins apart as far as it does any others.
pub(super) fn orders(participants: usize, blocks: usize, twins: Option<[usize; 2]>) -> Vec<Vec<usize>> {
    let mut orders: Vec<_> = (0..blocks).map(|block| order(participants, block, blocks)).collect();
    if let Some(twins) = twins {
        let numbers = renumbered(participants, twins, furthest_apart(&orders, participants));
        for place in orders.iter_mut().flatten() {
            *place = numbers[*place];
        }
    }
    orders
}

fn order(participants: usize, block: usize, blocks: usize) -> Vec<usize> {
    // What is left over when whole designs have been taken out.
    let is_rest = |whole: usize| block >= blocks - blocks % whole;
    match participants {
        0 => Vec::new(),
        5 => FIVE[block % FIVE.len()].to_vec(),
        7 if blocks % 14 <= SEVEN.len() && is_rest(14) => SEVEN[block % 14].to_vec(),
        even if even % 2 == 0 => row(even, block % even),
        odd => row_of_two_squares(odd, block % (2 * odd)),
    }
}

/// A row of Williams's square. Its first row goes from side to side, 0, 1, n-1, 2, n-2 and so on, so that all differences of
/// neighbours are different for an even n; each further row adds one to the row before, modulo n. Numbers are then exchanged
/// such that the first row is 0, 1, 2 and so on.
fn row(n: usize, shift: usize) -> Vec<usize> {
    let from_side_to_side =
        |place: usize| if place % 2 == 1 { place.div_ceil(2) } else { (n - place / 2) % n };
    let place_of = |value: usize| match value {
        0 => 0,
        near if near <= n / 2 => 2 * near - 1,
        far => 2 * (n - far),
    };
    (0..n).map(|place| place_of((from_side_to_side(place) + shift) % n)).collect()
}

/// For an odd n every difference of neighbours comes twice in a row, so that the square is taken with its mirror image, and
/// two rows of one square have neighbours in common if their shifts differ by (n-1)/2 or (n+1)/2. In this order the first
/// n-1 rows have none in common, and neither have the last n-1.
fn row_of_two_squares(n: usize, number: usize) -> Vec<usize> {
    let half = n / 2;
    let parts = [0..half, half..half + 1, half + 1..n];
    let rows = parts.into_iter().flat_map(|shifts| {
        let there = shifts.clone().map(|shift| (shift, false));
        there.chain(shifts.map(|shift| (shift, true)))
    });
    let Some((shift, mirrored)) = rows.into_iter().nth(number) else { return Vec::new() };
    let mut row = row(n, shift);
    if mirrored {
        row.reverse();
    }
    row
}

/// The two numbers whose places differ most over all orders, the smaller first.
fn furthest_apart(orders: &[Vec<usize>], participants: usize) -> [usize; 2] {
    let mut furthest = ([0, 0], 0);
    for one in 0..participants {
        for other in one + 1..participants {
            let distance = distance(orders, one, other);
            if distance > furthest.1 {
                furthest = ([one, other], distance);
            }
        }
    }
    furthest.0
}

/// How many places two participants are apart, summed over the orders.
fn distance(orders: &[Vec<usize>], one: usize, other: usize) -> usize {
    let place = |order: &Vec<usize>, number: usize| order.iter().position(|it| *it == number).unwrap_or(0);
    orders.iter().map(|order| place(order, one).abs_diff(place(order, other))).sum()
}

/// The participant of each number, if the twins get these two and all others get the rest in their order.
fn renumbered(participants: usize, twins: [usize; 2], numbers: [usize; 2]) -> Vec<usize> {
    let mut others = (0..participants).filter(|participant| !twins.contains(participant));
    let participant = |number: usize| match numbers.iter().position(|it| *it == number) {
        Some(which) => Some(twins[which]),
        None => others.next(),
    };
    (0..participants).filter_map(participant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 8;

    /// The fewest and the most of these counts.
    fn range(counts: impl Iterator<Item = usize>) -> usize {
        let counts: Vec<_> = counts.collect();
        counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
    }

    fn difference_of_neighbours(orders: &[Vec<usize>], n: usize) -> usize {
        let mut counts = vec![vec![0; n]; n];
        for pair in orders.iter().flat_map(|order| order.windows(2)) {
            counts[pair[0]][pair[1]] += 1;
        }
        let ordered = (0..n).flat_map(|one| (0..n).map(move |other| (one, other)));
        range(ordered.filter(|(one, other)| one != other).map(|(one, other)| counts[one][other]))
    }

    fn difference_of_places(orders: &[Vec<usize>], n: usize) -> usize {
        let count = |number, place| orders.iter().filter(move |order| order[place] == number).count();
        range((0..n).flat_map(|number| (0..n).map(move |place| count(number, place))))
    }

    #[test]
    fn each_block_has_each_participant_once_and_the_first_has_them_in_order() {
        for n in 0..=12 {
            let orders = orders(n, 30, None);
            assert_eq!(orders[0], (0..n).collect::<Vec<_>>());
            for mut order in orders {
                order.sort_unstable();
                assert_eq!(order, (0..n).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn neighbours_come_as_often_as_each_other_after_any_number_of_blocks() {
        for n in 2..=13 {
            for blocks in 1..=30 {
                let odd_one_out = n % 2 == 1 && n != 7 && blocks % (2 * n) == n;
                let most = if odd_one_out { 2 } else { 1 };
                let difference = difference_of_neighbours(&orders(n, blocks, None), n);
                assert!(difference <= most, "{difference} for {n} in {blocks} blocks");
            }
        }
    }

    #[test]
    fn places_come_about_as_often_as_each_other_after_any_number_of_blocks() {
        for n in 2..=13 {
            for blocks in 1..=30 {
                let most = if n % 2 == 0 { 1 } else { 2 };
                let difference = difference_of_places(&orders(n, blocks, None), n);
                assert!(difference <= most, "{difference} for {n} in {blocks} blocks");
            }
        }
    }

    #[test]
    fn whole_designs_are_even_in_every_respect() {
        for n in 2..=13 {
            let whole = if n % 2 == 0 { n } else { 2 * n };
            let orders = orders(n, whole, None);
            assert_eq!((difference_of_neighbours(&orders, n), difference_of_places(&orders, n)), (0, 0));
        }
        assert_eq!(difference_of_neighbours(&orders(7, 7, None), 7), 0);
    }

    #[test]
    fn no_two_participants_are_further_apart_than_twins() {
        for n in 2..=MOST {
            for blocks in 1..=14 {
                for original in 0..n - 1 {
                    let orders = orders(n, blocks, Some([original, n - 1]));
                    let twins = distance(&orders, original, n - 1);
                    for one in 0..n {
                        assert!((0..n).all(|other| distance(&orders, one, other) <= twins));
                    }
                    let mut all = orders[0].clone();
                    all.sort_unstable();
                    assert_eq!(all, (0..n).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn twins_change_no_counts() {
        for n in 2..=MOST {
            let (plain, twins) = (orders(n, 7, None), orders(n, 7, Some([0, n - 1])));
            assert_eq!(difference_of_neighbours(&plain, n), difference_of_neighbours(&twins, n));
            assert_eq!(difference_of_places(&plain, n), difference_of_places(&twins, n));
        }
    }
}
