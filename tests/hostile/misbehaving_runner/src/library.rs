//! Changes the file of the workload's library while the judge has it loaded.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

const NOW: c_int = 2;

/// `ud2`: an instruction that ends whoever executes it.
const INVALID: [u8; 2] = [0x0f, 0x0b];

/// Puts an invalid instruction at the start of the function by which the judge decodes an answer. All processes that have mapped the
/// file have it from then on.
pub(crate) fn spoil(path: &Path) {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: both texts end in a NUL, and the library is one that this process has loaded already.
    let function = unsafe { dlsym(dlopen(name.as_ptr(), NOW), c"crossrun_workload_outcome".as_ptr()) };
    let offset = offset_in_file(function.addr()).expect("the function is in a mapped file");
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&INVALID, offset).unwrap();
}

/// Where in its file the code at an address is.
fn offset_in_file(address: usize) -> Option<u64> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (range, offset) = (fields.next()?, fields.nth(1)?);
        let (start, end) = range.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let offset = u64::from_str_radix(offset, 16).ok()?;
        (start..end).contains(&address).then(|| offset + (address - start) as u64)
    })
}
