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

/// A stream that writes what several calls send in one go, or in two.
///
/// Whoever gets a reply often has the next command at hand. But tokio runs a task that was just woken before all others: the
/// connection's would write the first command at once, and each other one by itself. So while more than one call is under way, a
/// write lets everybody who is ready have a turn.
///
/// All in one go, server and client would take turns at working, each waiting for all that the other does. So what many are waiting
/// for is read in two halves: while the server works on what follows from one, the client works on the other.
pub(crate) struct Gathered<S> {
    stream: S,
    under_way: UnderWay,
    waited: bool,
    /// The second half, from this place on.
    held: Vec<u8>,
    at: usize,
    /// Until how many flushes from now it is left alone: the one of the same turn, and the one after everybody's.
    rest: u8,
}

/// How many calls on a connection have no reply yet.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

/// One of them, for as long as it lives.
pub(crate) struct Call<'a>(&'a AtomicUsize);

/// What is written at once in any case: redis-rs gathers no more either.
const ENOUGH: usize = 8 * 1024;

/// How many calls are many: fewer are not worth a second turn.
const MANY: usize = 8;

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
        Self { stream, under_way, waited: false, held: Vec::new(), at: 0, rest: 0 }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.rest == 0 && !self.waited && bytes.len() < ENOUGH && self.under_way.0.load(Ordering::Relaxed) > 1 {
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_pending() && self.rest > 0 {
            // Whoever cannot write has to read, or both sides might wait for ever.
            self.rest = 0;
            cx.waker().wake_by_ref();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waited = false;
        if self.rest > 0 {
            self.rest -= 1;
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.rest > 0 {
            return Poll::Pending;
        }
        if this.at < this.held.len() {
            let rest = &this.held[this.at..];
            let taken = rest.len().min(into.remaining());
            into.put_slice(&rest[..taken]);
            this.at += taken;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        let half = before + (into.filled().len() - before) / 2;
        if half > before && this.under_way.0.load(Ordering::Relaxed) >= MANY {
            this.held.clear();
            this.held.extend_from_slice(&into.filled()[half..]);
            this.at = 0;
            into.set_filled(half);
            this.rest = 2;
        }
        read
    }
}
