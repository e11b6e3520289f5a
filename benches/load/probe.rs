//! The raw limits of the machine in the same minute: flushes of an appended file, and an HTTP server that answers a
//! fixed body without doing anything.

use crate::client::{Connection, closed_loop};
use crate::server::cpu_of;
use crate::workload::STATIC;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a second 4 kB can be appended to a file and flushed.
pub fn flushes_per_second(slice: Duration) -> Result<f64, String> {
    let below = std::env::var_os("VESTA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let mut file = tempfile::tempfile_in(below).map_err(|e| e.to_string())?;
    let block = [7u8; 4096];
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < slice {
        file.write_all(&block).and_then(|()| file.sync_data()).map_err(|e| e.to_string())?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// What the fixed body reached.
pub struct Fixed {
    /// Requests a second at 64 connections.
    pub rate: f64,
    /// CPU time of the server for one request, in microseconds.
    pub cpu_micros: Option<f64>,
}

/// Starts this program again as a server with a fixed body and measures it.
pub async fn static_body(slice: Duration) -> Result<Fixed, String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(me).arg("static-probe").stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
    }
    let base = line.trim().to_owned();
    Connection::open(&base, None).await?;
    let before = cpu_of(child.id());
    let measured = closed_loop(&base, &STATIC, 64, slice, None).await;
    let cpu = cpu_of(child.id()) - before;
    let _ = child.kill();
    let _ = child.wait();
    let rate = measured?.rate;
    Ok(Fixed { rate, cpu_micros: Some(cpu.as_secs_f64() * 1e6 / (rate * slice.as_secs_f64())) })
}

/// The server of [`static_body`]: actix-web, two workers, 1.5 kB.
pub fn serve_static() {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let _ = actix_web::rt::System::new().block_on(async {
        let body: &'static str = Box::leak("x".repeat(1500).into_boxed_str());
        let server = HttpServer::new(move || {
            App::new().default_service(web::to(move || async move { HttpResponse::Ok().body(body) }))
        })
        .workers(2)
        .bind(("127.0.0.1", 0))?;
        for address in server.addrs() {
            println!("http://{address}");
        }
        server.run().await
    });
}
