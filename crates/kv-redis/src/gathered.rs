use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that writes what several calls send in one go.
///
/// Whoever gets a reply often has the next command at hand. But tokio runs a task that was just woken before all others: the
/// connection's would write the first command at once, and each other one by itself. So while more than one call is under way, a
/// write lets everybody who is ready have a turn.
pub(crate) struct Gathered<S> {
    stream: S,
    under_way: UnderWay,
    waited: bool,
}

/// How many calls on a connection have no reply yet.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

/// One of them, for as long as it lives.
pub(crate) struct Call<'a>(&'a AtomicUsize);

/// What is written at once in any case: redis-rs gathers no more either.
const ENOUGH: usize = 8 * 1024;

impl UnderWay {
    pub(crate) fn begin(&self) -> Call<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Call(&self.0)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Gathered<S> {
    pub(crate) fn new(stream: S, under_way: UnderWay) -> Self {
        Self { stream, under_way, waited: false }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.waited && bytes.len() < ENOUGH && self.under_way.0.load(Ordering::Relaxed) > 1 {
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waited = false;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}
