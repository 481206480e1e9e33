//! What the application adds to a batch in an engine's own terms, as far as it is the same for each engine.

use std::any::Any;
use std::pin::Pin;

use neuroglia::data::NativeStep;
use neuroglia::error::{Error, Result};

/// What a step gives back: boxed, because closures cannot yet say that their future may change threads.
pub type StepFuture<'c, T = ()> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// The step of a batch for this engine, which `maker` makes; what is for another one refuses the batch.
pub(crate) fn own_step<S: Any>(engine: &str, maker: &str, step: NativeStep) -> Result<S> {
    if step.engine != engine {
        return Err(Error::internal(format!(
            "the batch has a step for the engine {}, and this one is {engine}",
            step.engine
        )));
    }
    let own = step.step.downcast::<S>().map(|own| *own);
    own.map_err(|_| Error::internal(format!("a native step for {engine} is made with {engine}::{maker}")))
}
