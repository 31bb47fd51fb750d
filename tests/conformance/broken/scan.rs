use super::{Broken, Defect::*};
use async_trait::async_trait;
use kv_core::{Cursor, KvStoreExt, Page, Result, ScanStore};
use std::collections::BTreeSet;

#[async_trait]
impl ScanStore for Broken {
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page> {
        let scan = self.inner.require_scan("scan_page")?;
        match self.defect {
            ScansOnePage => Ok(Page { next: None, ..scan.scan_page(prefix, cursor, count).await? }),
            ScansInCircles => Ok(Page { next: Some(Cursor::start()), ..scan.scan_page(prefix, cursor, count).await? }),
            ScansByOffset => {
                let (mut all, mut inner) = (BTreeSet::new(), Some(Cursor::start()));
                // Of this behaviour: what others write at the same time would shift the offset back.
                let own = prefix.split_inclusive('}').next().unwrap_or_default();
                while let Some(cursor) = inner {
                    let page = scan.scan_page(own, &cursor, 1000).await?;
                    all.extend(page.keys);
                    inner = page.next;
                }
                let (from, count) = (cursor.position() as usize, count as usize);
                let next = (from + count < all.len()).then(|| Cursor::new("", (from + count) as u64));
                let page = all.into_iter().skip(from).take(count).filter(|key| key.starts_with(prefix));
                Ok(Page { keys: page.collect(), next })
            }
            PrefixIsAPattern => {
                scan.scan_page(prefix.split(['*', '?', '[']).next().unwrap_or_default(), cursor, count).await
            }
            EmptyPrefixIsNothing if prefix.is_empty() => Ok(Page { keys: Vec::new(), next: None }),
            _ => scan.scan_page(prefix, cursor, count).await,
        }
    }
}
