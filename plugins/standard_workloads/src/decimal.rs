//! Whole numbers as decimal digits within an item's bytes.

/// Appends `number`.
pub(crate) fn append(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// The number that `text` ends in, if it ends in digits and they fit.
pub(crate) fn trailing(text: &[u8]) -> Option<u64> {
    let start = text.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
    std::str::from_utf8(text.get(start..)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_without_a_number_at_its_end_has_none() {
        for text in [b"".as_slice(), b"item_", b"1x", b"18446744073709551616", b"\xff"] {
            assert_eq!(trailing(text), None, "{text:?}");
        }
        assert_eq!(trailing(b"7"), Some(7));
        assert_eq!(trailing(b"a1_\xff18446744073709551615"), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_appended_is_read_back(number: u64, before in "[a-z_]{0,8}") {
            let mut text = before.clone().into_bytes();
            append(number, &mut text);
            prop_assert_eq!(&text, &format!("{before}{number}").into_bytes());
            prop_assert_eq!(trailing(&text), Some(number));
        }

        #[test]
        fn any_bytes_are_read_or_not(text: Vec<u8>) {
            let ends_in_digit = text.last().is_some_and(u8::is_ascii_digit);
            prop_assert!(ends_in_digit || trailing(&text).is_none());
        }
    }
}
