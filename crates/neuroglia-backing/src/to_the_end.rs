//! Work that comes to its end, also when who waits for it goes away.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use neuroglia::error::{Error, Result};
use tokio::runtime::Handle;

/// Work that is polled by who waits for it, and goes on in a task of its own when that is dropped in between.
///
/// So what is waited for, which is nearly everything, needs no task, and wakes no other thread. It does not go on while
/// who waits keeps it and polls something else.
pub(crate) struct ToTheEnd<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = Result<T>> + Send>>>,
    runtime: Handle,
}

impl<T: Send + 'static> ToTheEnd<T> {
    /// A panic of the work is an internal error of it.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn of(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let work = AssertUnwindSafe(work)
            .catch_unwind()
            .map(|ended| ended.unwrap_or_else(|_| Err(Error::internal("the work panicked"))));
        Self { work: Some(Box::pin(work)), runtime: Handle::current() }
    }
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(Err(Error::internal("it was polled after its end")));
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use neuroglia::error::ErrorKind;
    use tokio::sync::{Notify, oneshot};

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_gives_its_outcome() {
        assert_eq!(ToTheEnd::of(async { Ok(7) }).await.expect("it ends well"), 7);
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
                Ok(())
            }
        }));
        assert!(futures_util::poll!(&mut work).is_pending());
        // Also where there is no runtime.
        std::thread::spawn(move || drop(work)).join().expect("it is dropped");
        go.notify_one();
        end.await.expect("it went on");
        assert_eq!(begun.load(Ordering::Relaxed), 1, "and did not begin again");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_work() {
        let error = ToTheEnd::<()>::of(async { panic!("in the middle") }).await.expect_err("it panics");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
