//! The program: chooses the allocator and the provider of TLS, and hands over to `cli`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, and a server that stores takes new pages all the time: half the CPU time of a
    // transaction would be the kernel zeroing two megabytes where some kilobytes are used. Where it cannot be switched
    // off, it is only slower.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Fails only if a provider was installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    vesta::cli::main()
}
