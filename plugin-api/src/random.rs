//! Pseudorandom numbers by counter: each can be computed without those before it. For the host and the standard workloads;
//! not a part of the contract.

/// How far `SplitMix64` advances in a step: the golden ratio.
pub const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// `SplitMix64` of one step, which advances and then applies the finaliser (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014). A bijection.
#[inline]
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(STEP);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_gives_the_published_vectors() {
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        // The reference implementation with seed 1234567.
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for (step, expected) in (0_u64..).zip(expected) {
            assert_eq!(mix(step.wrapping_mul(STEP).wrapping_add(1_234_567)), expected);
        }
    }
}
