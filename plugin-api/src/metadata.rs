//! The metadata section, which a host reads without running any code of the plugin.
//!
//! `ABI.md` lists the keys. The compiler joins the text and puts it into a section of its own
//! (`.crossrun` in ELF, `__DATA,__crossrun` in Mach-O), which link-time optimisation and stripping keep.

/// The compiler, as it names itself.
pub const RUSTC: &str = env!("CROSSRUN_RUSTC");
/// The target triple.
pub const TARGET: &str = env!("CROSSRUN_TARGET");
/// The optimisation level of the build that this crate is part of.
pub const OPT_LEVEL: &str = env!("CROSSRUN_OPT_LEVEL");
/// The processor features that the compiler was allowed to use.
pub const TARGET_FEATURES: &str = env!("CROSSRUN_TARGET_FEATURES");

/// The length of all parts together.
#[doc(hidden)]
pub const fn length(parts: &[&str]) -> usize {
    let (mut total, mut at) = (0, 0);
    while at < parts.len() {
        total += parts[at].len();
        at += 1;
    }
    total
}

/// All parts, one after the other.
#[doc(hidden)]
pub const fn join<const LENGTH: usize>(parts: &[&str]) -> [u8; LENGTH] {
    let (mut joined, mut end, mut part) = ([0; LENGTH], 0, 0);
    while part < parts.len() {
        let (bytes, mut at) = (parts[part].as_bytes(), 0);
        while at < bytes.len() {
            joined[end] = bytes[at];
            end += 1;
            at += 1;
        }
        part += 1;
    }
    joined
}

/// A value for the metadata. A control character in it is a compile error.
#[doc(hidden)]
#[allow(clippy::panic)] // A panic in a constant is how the compiler is made to refuse it.
pub const fn value(text: &'static str) -> &'static str {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while at < bytes.len() {
        if bytes[at] < b' ' || bytes[at] == 0x7f {
            panic!("a value of a plugin's metadata has a line break or another control character in it");
        }
        at += 1;
    }
    text
}

/// The longest name of a backend or workload, in bytes.
#[doc(hidden)]
pub const MAX_NAME: usize = 64;

/// Whether a backend or workload may have this name.
#[doc(hidden)]
pub const fn is_name(text: &str) -> bool {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    0 < at && at <= MAX_NAME
}

/// A name for the metadata. An invalid one is a compile error.
#[doc(hidden)]
#[allow(clippy::panic)] // As in `value`.
pub const fn name(text: &'static str) -> &'static str {
    if !is_name(text) {
        panic!("the name of a backend or workload must have 1 to 64 characters of a-z, 0-9, _ and -");
    }
    text
}

/// Puts the metadata section into a plugin.
#[doc(hidden)]
#[macro_export]
macro_rules! __metadata {
    ($($part:expr),* $(,)?) => {
        const _: () = {
            const PARTS: &[&str] = &[
                "crossrun-plugin 1\n",
                $($part,)*
                "version=", $crate::metadata::value(env!("CARGO_PKG_VERSION")), "\n",
                "description=", $crate::metadata::value(env!("CARGO_PKG_DESCRIPTION")), "\n",
                "license=", $crate::metadata::value(env!("CARGO_PKG_LICENSE")), "\n",
                "api=", $crate::API_VERSION, "\n",
                "rustc=", $crate::metadata::RUSTC, "\n",
                "target=", $crate::metadata::TARGET, "\n",
                "opt_level=", $crate::metadata::OPT_LEVEL, "\n",
                "debug_assertions=", if cfg!(debug_assertions) { "true" } else { "false" }, "\n",
                "target_features=", $crate::metadata::TARGET_FEATURES, "\n",
                "end\n",
            ];
            #[used]
            #[allow(unsafe_code)]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__crossrun"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".crossrun"))]
            static METADATA: [u8; $crate::metadata::length(PARTS)] = $crate::metadata::join(PARTS);
        };
        #[cfg(panic = "abort")]
        compile_error!(
            "a crossrun plugin must be built with panic = \"unwind\": with \"abort\" a panic could not be reported"
        );
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_at_compile_time() {
        const PARTS: &[&str] = &["kind=", name("runner"), "\n"];
        const JOINED: [u8; length(PARTS)] = join(PARTS);
        assert_eq!(JOINED.as_slice(), b"kind=runner\n");
    }

    #[test]
    fn a_name_has_few_characters_of_few_kinds() {
        let longest = "x".repeat(MAX_NAME);
        for good in ["a", "my-own_2", "0", &longest] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Mine", "mine too", "../mine", "größe", "a.b", "a\n", &format!("{longest}x")] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    #[should_panic(expected = "1 to 64 characters")]
    fn another_name_is_refused() {
        name("Mine");
    }

    #[test]
    #[should_panic(expected = "control character")]
    fn a_line_break_cannot_forge_a_key() {
        value("x\nname=other");
    }
}
