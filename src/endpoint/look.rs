//! Looks at the first bytes of a line: is the framing the right one?
//!
//! Wraps a connector and is one. A line that was opened with another framing than it has shows nothing but
//! errors, and its bytes tell which it has: that is said, once. Where the user left it open which SLIP it
//! is, the first whole frame tells, and that is said as well. Until then each frame that carries IP goes
//! out both ways: whoever takes the one knows nothing to do with the other, and its answer tells. After
//! some kilobytes nobody looks any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use super::{Connector, Link, Options, Pending, Receive, Received, Transmit};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::Events;
use crate::framing::{Framing, Guess, SLIP_ETH, SLIP_IP, guess, slip_of};

/// So many bytes are looked at.
const ENOUGH: usize = 8 * 1024;
/// The least that comes between two looks, and the part of what was there.
const STEP: usize = 16;
const PART: usize = 4;

/// A connector whose links are looked at.
pub(super) struct Look {
    connector: Box<dyn Connector>,
    options: Options,
    events: Events,
    news: Arc<News>,
}

/// What was found out, which outlives a link.
#[derive(Default)]
struct News {
    /// That the framing is another was said.
    is_told: AtomicBool,
    /// Which SLIP it is.
    slip: OnceLock<&'static Framing>,
}

impl Look {
    pub(super) fn new(connector: Box<dyn Connector>, options: &Options, events: &Events) -> Look {
        let (options, events) = (options.clone(), events.clone());
        Look { connector, options, events, news: Arc::default() }
    }

    /// `link`, looked at.
    fn watch(&self, link: Link) -> Link {
        if !link.about.is_stream || link.about.shared.is_some() {
            return link;
        }
        let is_open = self.options.framing.is_open();
        let rx = Looking {
            inner: link.rx,
            seen: BytesMut::new(),
            next: 1,
            is_over: false,
            options: self.options.clone(),
            events: self.events.clone(),
            news: self.news.clone(),
        };
        let tx: Box<dyn Transmit> = match is_open {
            true => {
                Box::new(Either { inner: link.tx, news: self.news.clone(), buffer: Vec::new() })
            }
            false => link.tx,
        };
        Link { rx: Box::new(rx), tx, about: link.about }
    }
}

impl Connector for Look {
    fn name(&self) -> &str {
        self.connector.name()
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        self.connector.prepare()
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move { self.connector.connect().await.map(|link| self.watch(link)) })
    }

    fn is_persistent(&self) -> bool {
        self.connector.is_persistent()
    }
}

/// The receiving half.
struct Looking {
    inner: Box<dyn Receive>,
    seen: BytesMut,
    /// How many bytes are to be there before the next look.
    next: usize,
    is_over: bool,
    options: Options,
    events: Events,
    news: Arc<News>,
}

impl Looking {
    fn look(&mut self, bytes: &Bytes) {
        let room = ENOUGH.saturating_sub(self.seen.len()).min(bytes.len());
        self.seen.extend_from_slice(&bytes[..room]);
        if self.seen.len() < self.next {
            return;
        }
        self.next = self.seen.len() + STEP.max(self.seen.len() / PART);
        let framing = self.options.framing;
        let seen = Bytes::copy_from_slice(&self.seen);
        let is_known = framing.is_open() && self.tell_slip();
        let is_settled = is_known
            || match guess(framing, self.options.max_frame, &seen) {
                Guess::Rather(other) if framing.is_open() && other.header.is_none() => false,
                Guess::Rather(other) => self.tell(other),
                Guess::Right => !framing.is_open(),
                Guess::Nothing => false,
            };
        if is_settled || self.seen.len() >= ENOUGH {
            self.is_over = true;
            self.seen = BytesMut::new();
        }
    }

    /// Says which SLIP it is, if that is known; whether it is.
    fn tell_slip(&self) -> bool {
        let Some(which) = slip_of(&self.seen) else { return false };
        if self.news.slip.set(which).is_ok() {
            self.events.note(format!("the line speaks {}: {}", which.name, which.help));
        }
        true
    }

    /// Says that the bytes look like `other`.
    fn tell(&self, other: &Framing) -> bool {
        if !self.news.is_told.swap(true, Ordering::Relaxed) {
            self.events.warn(format!(
                "these bytes look like {}, not like {}: try framing={}",
                other.name, self.options.framing.name, other.name
            ));
        }
        true
    }
}

impl Receive for Looking {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        if self.is_over {
            return self.inner.receive();
        }
        Box::pin(async move {
            let received = self.inner.receive().await?;
            if let Received::Bytes(bytes) = &received {
                self.look(bytes);
            }
            Ok(received)
        })
    }
}

/// The sending half of a line of which it is not known which SLIP it speaks.
struct Either {
    inner: Box<dyn Transmit>,
    news: Arc<News>,
    buffer: Vec<u8>,
}

impl Transmit for Either {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        let ways: &[&Framing] = match self.news.slip.get() {
            Some(which) => &[*which],
            None => &[&SLIP_ETH, &SLIP_IP],
        };
        self.buffer.clear();
        for frame in frames {
            for way in ways {
                // What one of them does not carry, the other does, or nobody misses it.
                let _ = way.encode(frame, &mut self.buffer);
            }
        }
        self.inner.send_raw(&self.buffer)
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        self.inner.send_raw(bytes)
    }

    fn sent_at(&self) -> Option<Timestamp> {
        self.inner.sent_at()
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft;
    use crate::endpoint::memory;
    use std::sync::Mutex;

    fn frame(mark: u8) -> Bytes {
        let route = craft::Route {
            source_mac: crate::framing::ip::HOST.into(),
            destination_mac: crate::framing::ip::DEVICE.into(),
            source: [192, 168, 100, 1].into(),
            destination: [192, 168, 100, 2].into(),
        };
        let echo = craft::EchoRequest {
            identifier: 7,
            sequence: u16::from(mark),
            ttl: 64,
            tos: 0,
            ip_id: 0,
            data: &[mark; 20],
        };
        echo.frame(&route).into()
    }

    /// A line opened as `asked`, its other end, and what is told.
    fn line(asked: &'static Framing) -> (Link, Link, Arc<Mutex<Vec<String>>>) {
        struct Nobody;
        impl Connector for Nobody {
            fn name(&self) -> &str {
                "nobody"
            }
            fn connect(&self) -> Pending<'_, Result<Link>> {
                Box::pin(async { Ok(memory::nowhere("nobody")) })
            }
        }
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = told.clone();
        let events = Events::new(move |event| {
            sink.lock().expect("nobody panicked").push(event.to_string());
        });
        let options = Options { framing: asked, ..Options::default() };
        let look = Look::new(Box::new(Nobody), &options, &events);
        let (near, far) = memory::pair("near", "far", asked);
        (look.watch(near), far, told)
    }

    async fn take(link: &mut Link, bytes: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < bytes {
            let soon = std::time::Duration::from_secs(1);
            let received = tokio::time::timeout(soon, link.rx.receive()).await;
            match received.expect("so many bytes").expect("a pipe") {
                Received::Bytes(bytes) => all.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn another_framing_is_told_once() {
        let (mut near, mut far, told) = line(&SLIP_ETH);
        let mut bytes = Vec::new();
        for n in 0..4 {
            SLIP_IP.encode(&frame(n), &mut bytes).expect("it fits");
        }
        for chunk in bytes.chunks(7) {
            far.tx.send_raw(chunk).await.expect("a pipe");
            take(&mut near, chunk.len()).await;
        }
        let told = told.lock().expect("nobody panicked");
        let text = "warning: these bytes look like slip-ip, not like slip-eth: try framing=slip-ip";
        assert_eq!(*told, [text]);
    }

    #[tokio::test(start_paused = true)]
    async fn until_it_is_known_which_slip_it_is_both_are_sent() {
        for which in [&SLIP_ETH, &SLIP_IP] {
            let slip = Framing::by_name("slip").expect("it is in the list");
            let (mut near, mut far, told) = line(slip);
            let (mut both, mut one) = (Vec::new(), Vec::new());
            SLIP_ETH.encode(&frame(1), &mut both).expect("it fits");
            SLIP_IP.encode(&frame(1), &mut both).expect("it fits");
            which.encode(&frame(1), &mut one).expect("it fits");
            near.tx.send(&[frame(1)]).await.expect("a pipe");
            assert_eq!(take(&mut far, both.len()).await, both);
            far.tx.send_raw(&one).await.expect("a pipe");
            take(&mut near, one.len()).await;
            near.tx.send(&[frame(1)]).await.expect("a pipe");
            assert_eq!(take(&mut far, one.len()).await, one);
            let told = told.lock().expect("nobody panicked");
            assert_eq!(*told, [format!("the line speaks {}: {}", which.name, which.help)]);
        }
    }
}
