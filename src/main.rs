//! The program: chooses the allocator and the provider of TLS, and hands over to `cli`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Fails only if a provider was installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    vesta::cli::main()
}
