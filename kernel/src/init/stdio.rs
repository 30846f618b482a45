//! The program's standard streams and the kernel's status line: ports of the virtio console, where the machine has them,
//! else the serial port that has the log.

use super::exit_code;
use crate::{
    logger,
    virtio::{Device, console::Console},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    task::{Context, Poll},
};
use log::Level;
use manifest::{Status, debug_exit, port};
use wasi::io::{BytesInput, InputStream, OutputStream, Readiness};

/// The streams.
pub struct Stdio {
    /// The program's standard input; at its end from the start if the machine has no port for it.
    pub stdin: Arc<dyn InputStream>,
    /// The program's standard output.
    pub stdout: Arc<dyn OutputStream>,
    /// The program's standard error.
    pub stderr: Arc<dyn OutputStream>,
    status: Option<Arc<dyn OutputStream>>,
}

impl Stdio {
    /// Opens the ports on whichever device has them.
    pub fn open(devices: Vec<Device>) -> Self {
        let consoles: Vec<Arc<Console>> = devices
            .into_iter()
            .filter_map(|device| {
                let name = format!("{device:?}");
                Console::new(device).inspect_err(|error| log::warn!("{name}: {error}")).ok()
            })
            .collect();
        let output = |name: &str| {
            consoles.iter().find_map(|console| {
                let port = console.open_output(name);
                let port = port.inspect_err(|error| log::error!("port {name}: {error}")).ok()??;
                Some(Arc::new(port) as Arc<dyn OutputStream>)
            })
        };
        let stdin = consoles.iter().find_map(|console| {
            let port = console.open_input(port::STDIN);
            let port = port.inspect_err(|error| log::error!("port {}: {error}", port::STDIN)).ok()??;
            Some(Arc::new(port) as Arc<dyn InputStream>)
        });
        Self {
            stdin: stdin.unwrap_or_else(|| Arc::new(BytesInput::empty())),
            stdout: output(port::STDOUT).unwrap_or_else(|| Arc::new(SerialPort)),
            stderr: output(port::STDERR).unwrap_or_else(|| Arc::new(SerialPort)),
            status: output(port::STATUS),
        }
    }

    /// Tells the host.
    pub async fn report(&self, status: &Status) {
        match &self.status {
            Some(port) => {
                // A host that does not listen misses it.
                let _ = write_all(&**port, format!("{status}\n").as_bytes()).await;
            }
            None => {
                let level = match status {
                    Status::Ready(_) | Status::Exit(_) => Level::Info,
                    Status::Trap(_) | Status::Limit(_) | Status::Error(_) => Level::Error,
                };
                log::log!(level, "{status}");
            }
        }
    }

    /// Tells the host how the program ended, after all that the program wrote. Gives the code to end the machine with.
    pub async fn finish(&self, status: &Status) -> u16 {
        for stream in [&self.stdout, &self.stderr] {
            let _ = flush(&**stream).await;
        }
        self.report(status).await;
        match &self.status {
            Some(port) => {
                let _ = flush(&**port).await;
                debug_exit::ENDED
            }
            None => exit_code(status),
        }
    }
}

async fn write_all(stream: &dyn OutputStream, mut bytes: &[u8]) -> wasi::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|task| stream.poll_write(task, bytes)).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

async fn flush(stream: &dyn OutputStream) -> wasi::Result<()> {
    poll_fn(|task| stream.poll_flush(task)).await
}

/// The serial port, between the lines of the log. What is not UTF-8 is replaced: it is for people.
struct SerialPort;

impl OutputStream for SerialPort {
    fn poll_write(&self, _: &mut Context<'_>, buffer: &[u8]) -> Poll<wasi::Result<usize>> {
        logger::write(format_args!("{}", String::from_utf8_lossy(buffer)));
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        Poll::Ready(Ok(Readiness { bytes: 4096, hangup: false }))
    }
}
