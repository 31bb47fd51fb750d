use flate2::{Compress, Compression, Decompress};
#[cfg(feature = "lz4")]
use lz4_flex::block::CompressTable;
use std::cell::Cell;
#[cfg(feature = "zstd")]
use zstd_safe::{CCtx, DCtx};

/// What is expensive to make for each value: one on each thread that compresses, a third of a MiB until the thread ends.
#[derive(Default)]
pub(crate) struct State {
    deflate: Option<(u32, Compress)>,
    inflate: Option<Decompress>,
    #[cfg(feature = "zstd")]
    zstd: Option<CCtx<'static>>,
    #[cfg(feature = "zstd")]
    unzstd: Option<DCtx<'static>>,
    #[cfg(feature = "lz4")]
    pub(crate) lz4: CompressTable,
}

thread_local! {
    static KEPT: Cell<Option<Box<State>>> = const { Cell::new(None) };
}

/// Works with the state of this thread, or with a new one where the thread is about to end.
pub(crate) fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let mut state = KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let done = work(&mut state);
    state.forget_much();
    let _ = KEPT.try_with(|kept| kept.set(Some(state)));
    done
}

impl State {
    /// At the beginning of a gzip member.
    pub(crate) fn gzip(&mut self, level: u32) -> &mut Compress {
        const WINDOW_BITS: u8 = 15;
        match &mut self.deflate {
            Some((last, encoder)) if *last == level => encoder.reset(),
            other => *other = None,
        }
        let make = || (level, Compress::new_gzip(Compression::new(level), WINDOW_BITS));
        &mut self.deflate.get_or_insert_with(make).1
    }

    /// At the beginning of what is between header and trailer of a gzip member.
    pub(crate) fn inflate(&mut self) -> &mut Decompress {
        if let Some(decoder) = &mut self.inflate {
            decoder.reset(false);
        }
        self.inflate.get_or_insert_with(|| Decompress::new(false))
    }

    #[cfg(feature = "zstd")]
    pub(crate) fn zstd(&mut self) -> &mut CCtx<'static> {
        self.zstd.get_or_insert_with(CCtx::create)
    }

    #[cfg(feature = "zstd")]
    pub(crate) fn unzstd(&mut self) -> &mut DCtx<'static> {
        self.unzstd.get_or_insert_with(DCtx::create)
    }

    /// zstd grows with the level and the value, to hundreds of MiB: that is not kept.
    fn forget_much(&mut self) {
        #[cfg(feature = "zstd")]
        {
            const KEPT: usize = 8 << 20;
            self.zstd.take_if(|encoder| encoder.sizeof() > KEPT);
        }
    }
}
