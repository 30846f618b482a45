//! A port's directions as the streams of a program.
//!
//! A port whose host side is not connected is at its end: reading gives nothing, writing fails with
//! [`wasi::Error::Pipe`]. So the host connects before it starts the machine.

use super::Console;
use alloc::sync::Arc;
use core::task::{Context, Poll};
use wasi::io::{InputStream, OutputStream, Readiness};

/// Bytes from the host.
pub struct InputPort {
    console: Arc<Console>,
    port: usize,
}

/// Bytes to the host.
pub struct OutputPort {
    console: Arc<Console>,
    port: usize,
}

impl InputPort {
    pub(super) fn new(console: Arc<Console>, port: usize) -> Self {
        Self { console, port }
    }
}

impl OutputPort {
    pub(super) fn new(console: Arc<Console>, port: usize) -> Self {
        Self { console, port }
    }
}

impl InputStream for InputPort {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<wasi::Result<usize>> {
        let state = &mut *self.console.0.lock();
        let port = &mut state.ports[self.port];
        let read = port.receiver.read(buffer, &mut state.transport);
        if read > 0 || buffer.is_empty() || !port.connected {
            return Poll::Ready(Ok(read));
        }
        port.receiver.wait(task);
        Poll::Pending
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        let state = &mut *self.console.0.lock();
        let port = &mut state.ports[self.port];
        let bytes = port.receiver.available() as u64;
        if bytes > 0 || !port.connected {
            return Poll::Ready(Ok(Readiness { bytes, hangup: !port.connected }));
        }
        port.receiver.wait(task);
        Poll::Pending
    }
}

impl OutputStream for OutputPort {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<wasi::Result<usize>> {
        let state = &mut *self.console.0.lock();
        let port = &mut state.ports[self.port];
        if !port.connected {
            return Poll::Ready(Err(wasi::Error::Pipe));
        }
        match port.sender.write(buffer, &mut state.transport) {
            Ok(0) if !buffer.is_empty() => {
                port.sender.wait(task);
                Poll::Pending
            }
            Ok(written) => Poll::Ready(Ok(written)),
            Err(super::Error::NoMemory) => Poll::Ready(Err(wasi::Error::NoMemory)),
            Err(error) => {
                log::error!("virtio console: {error}");
                Poll::Ready(Err(wasi::Error::Io))
            }
        }
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        let state = &mut *self.console.0.lock();
        let port = &mut state.ports[self.port];
        let bytes = port.sender.room(&mut state.transport) as u64;
        if bytes > 0 || !port.connected {
            return Poll::Ready(Ok(Readiness { bytes, hangup: !port.connected }));
        }
        port.sender.wait(task);
        Poll::Pending
    }

    fn poll_flush(&self, task: &mut Context<'_>) -> Poll<wasi::Result<()>> {
        let state = &mut *self.console.0.lock();
        let port = &mut state.ports[self.port];
        if port.sender.is_flushed(&mut state.transport) {
            return Poll::Ready(Ok(()));
        }
        if !port.connected {
            return Poll::Ready(Err(wasi::Error::Pipe));
        }
        port.sender.wait(task);
        Poll::Pending
    }
}
