//! Work that comes to its end, also when who waits for it goes away.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that is polled by who waits for it, and goes on in a task of its own when that is dropped in between.
///
/// So what is waited for, which is nearly everything, needs no task, and wakes no other thread. Work that panics is not
/// gone on with.
pub(crate) struct ToTheEnd<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> ToTheEnd<T> {
    pub(crate) fn of(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut work = self.0.take().expect("a future is not polled after its end");
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::{Notify, oneshot};

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_gives_its_outcome() {
        assert_eq!(ToTheEnd::of(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_comes_to_its_end() {
        let (go, begun) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let (ended, end) = oneshot::channel();
        let mut work = Box::pin(ToTheEnd::of({
            let (go, begun) = (Arc::clone(&go), Arc::clone(&begun));
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                ended.send(()).expect("somebody waits for it");
            }
        }));
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        go.notify_one();
        end.await.expect("it went on");
        assert_eq!(begun.load(Ordering::Relaxed), 1, "and did not begin again");
    }

    #[tokio::test]
    async fn what_panics_is_not_gone_on_with() {
        let polls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&polls);
        let work = tokio::spawn(ToTheEnd::of(async move {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("in the middle");
        }));
        assert!(work.await.expect_err("it panics").is_panic());
        tokio::task::yield_now().await;
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }
}
