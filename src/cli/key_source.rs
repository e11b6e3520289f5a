//! Where the master key of an encrypted store comes from: a file, a variable of the environment, or what a command
//! prints (a key management service). The key itself is never an argument: arguments can be seen by everybody.

use super::fault::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// The 32 bytes of a key, from `file:…`, `env:…` or `command:…`.
pub fn read(source: &str) -> Result<[u8; 32], Fault> {
    let wrong = |why: String| Fault::Settings(format!("the encryption key from {source:?}: {why}"));
    let bytes = match source.split_once(':') {
        Some(("file", path)) => {
            open_to_others(Path::new(path));
            std::fs::read(path).map_err(|e| wrong(e.to_string()))?
        }
        Some(("env", name)) => match std::env::var_os(name) {
            Some(value) => value.into_encoded_bytes(),
            None => return Err(wrong("this variable is not set".into())),
        },
        Some(("command", command)) => {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", command]).stderr(std::process::Stdio::inherit());
            let done = shell.output().map_err(|e| wrong(e.to_string()))?;
            if !done.status.success() {
                return Err(wrong(format!("the command failed ({})", done.status)));
            }
            done.stdout
        }
        _ => return Err(wrong("it is named as file:PATH, env:NAME or command:COMMAND".into())),
    };
    key_of(&bytes).ok_or_else(|| {
        wrong("a key is 32 bytes, as they are, as 64 hexadecimal digits or in base64; make one with `head -c 32 /dev/urandom > FILE`".into())
    })
}

/// A key in one of its forms.
fn key_of(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let mut key = [0; 32];
        for (i, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        return Some(key);
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Warns of a key that others can read.
#[cfg(unix)]
fn open_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0) {
        tracing::warn!(file = %path.display(), "the file of the encryption key can be read by others; chmod 600 it");
    }
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_every_form() {
        let key = [0xA5; 32];
        assert_eq!(key_of(&key), Some(key));
        assert_eq!(key_of(format!("{}\n", "a5".repeat(32)).as_bytes()), Some(key));
        assert_eq!(key_of(STANDARD.encode(key).as_bytes()), Some(key));
        for wrong in ["", "short", &"zz".repeat(32), &STANDARD.encode([1; 31])] {
            assert_eq!(key_of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(read(&format!("command:printf '{}'", "a5".repeat(32))).ok(), Some(key));
        for (source, named) in [
            ("a5", "file:PATH"),
            ("env:VESTA_NOT_SET", "not set"),
            ("command:false", "failed"),
            ("file:/not/there", "No such"),
        ] {
            assert!(read(source).expect_err(source).to_string().contains(named), "{source}");
        }
    }
}
