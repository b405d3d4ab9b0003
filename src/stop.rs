//! The word to stop, from a signal, a deadline or a count, to whatever is running.

use tokio::sync::watch;

/// Gives the word. Clones give the same one.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for the word of a [`Stopper`].
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A stopper and what waits for it.
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Stops, now and for whoever asks later.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Completes when it is time to stop; never, if the stopper is gone without having stopped.
    pub async fn wait(&mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is time to stop.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}
