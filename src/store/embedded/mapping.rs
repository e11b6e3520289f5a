//! Lets go of the pages of a mapped file that were looked at, where the map belongs to somebody else (LMDB's): what is
//! written is looked at soon after, and without this all of a growing file counts as memory of the process. On Linux
//! only; elsewhere nothing happens.

use std::path::Path;

/// Lets go of the memory in which a file was looked at that is mapped shared and to be read only; what is needed is
/// looked at again. The map must stay where it is meanwhile.
#[cfg(target_os = "linux")]
pub fn let_go(path: &Path) {
    let (Ok(path), Ok(maps)) = (path.canonicalize(), std::fs::read_to_string("/proc/self/maps")) else { return };
    let (Some(path), Ok(size)) = (path.to_str(), path.metadata().map(|m| m.len() as usize)) else { return };
    for (start, length) in maps.lines().filter_map(|line| shared(line, path)) {
        // SAFETY: these are addresses of a map of this process that is of a file, shared, and cannot be written to
        // through it: its pages come back from the file unchanged. The caller sees to it that it is not unmapped
        // meanwhile, so that nothing else can have come to lie there.
        #[allow(unsafe_code)]
        unsafe {
            libc::madvise(start as *mut libc::c_void, length.min(size), libc::MADV_DONTNEED);
        }
    }
}

/// The same where it is not known how.
#[cfg(not(target_os = "linux"))]
pub fn let_go(_: &Path) {}

/// Beginning and length of the map that a line of `/proc/self/maps` tells of, if it is a shared one of a file that
/// cannot be written to.
#[cfg(target_os = "linux")]
fn shared(line: &str, path: &str) -> Option<(usize, usize)> {
    let (addresses, rest) = line.strip_suffix(path)?.split_once(' ')?;
    let of_file = rest.starts_with("r--s ") && rest.ends_with(' ');
    let (start, end) = addresses.split_once('-').filter(|_| of_file)?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.checked_sub(start)?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_shared_maps_that_are_read_are_let_go_of() {
        let line = "7f0000000000-7f0000002000 r--s 00000000 fe:00 123                        /data/truth/data.mdb";
        assert_eq!(shared(line, "/data/truth/data.mdb"), Some((0x7f00_0000_0000, 0x2000)));
        assert_eq!(shared(line, "/truth/data.mdb"), None);
        assert_eq!(shared(&line.replace("r--s", "rw-s"), "/data/truth/data.mdb"), None);
        assert_eq!(shared(&line.replace("r--s", "r--p"), "/data/truth/data.mdb"), None);
    }

    #[test]
    fn what_was_let_go_of_is_there_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let content: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
        std::fs::write(&path, &content).expect("written");
        let file = std::fs::File::open(&path).expect("opened");
        // SAFETY: nobody writes to the file.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.expect("mapped");
        assert!(*map == *content);
        let_go(&path);
        assert!(*map == *content);
    }
}
