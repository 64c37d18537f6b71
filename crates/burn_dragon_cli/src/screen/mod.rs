//! Screen of `dragon train --tui`: the loss, density, speed, a sample and messages, and keys.
//!
//! A thread draws the [`State`] some times a second and reads keys, so that the screen lives during a long step. The
//! trainer only changes the state, and asks what was asked for.

mod draw;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use burn_dragon_train::api::Interrupt;
use burn_dragon_train::api::expert::{Asked, Display, Opening, Shown};
use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead;
use state::{Effect, State};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

/// Time between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// The display, if there is a terminal for it.
///
/// # Errors
/// A sentence that says why there is none.
pub(crate) fn display() -> Result<Arc<dyn Display>, &'static str> {
    match terminal::is_there() {
        true => Ok(Arc::new(Tui::default())),
        false => Err("standard input, output and error must be a terminal"),
    }
}

/// Screen of a run.
#[derive(Debug, Default)]
struct Tui {
    shared: Arc<Shared>,
    drawer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    asked: Mutex<VecDeque<Asked>>,
    interrupt: Mutex<Interrupt>,
    ended: AtomicBool,
}

impl Display for Tui {
    fn begin(&self, opening: &Opening<'_>) -> io::Result<()> {
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        *lock(&self.shared.state) = State::new(opening, coloured);
        *lock(&self.shared.interrupt) = opening.interrupt.clone();
        let (shared, keys, screen) = (Arc::clone(&self.shared), keys()?, terminal::take()?);
        let drawer = Builder::new()
            .name("screen".into())
            .spawn(move || shared.draw(screen, &keys));
        if drawer.is_err() {
            terminal::give_back();
        }
        *lock(&self.drawer) = Some(drawer?);
        Ok(())
    }

    fn show(&self, shown: Shown<'_>) {
        lock(&self.shared.state).show(shown);
    }

    fn asked(&self) -> Option<Asked> {
        lock(&self.shared.asked).pop_front()
    }

    fn end(&self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(drawer) = lock(&self.drawer).take() {
            let _ = drawer.join(); // a panic was printed, and the terminal is restored
        }
        terminal::give_back();
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Draws and reads keys until the end.
    fn draw(&self, mut screen: terminal::Screen, keys: &Receiver<Key>) {
        while !self.ended.load(Ordering::SeqCst) && terminal::is_taken() {
            let mut state = lock(&self.state).clone(); // who trains does not wait for a slow terminal
            state.stopping |= lock(&self.interrupt).requested();
            if screen.draw(|frame| draw::draw(frame, &state)).is_err() {
                return; // the terminal is gone; a signal ends the run, or nobody does
            }
            match keys.recv_timeout(TICK) {
                Ok(key) => self.press(key),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => sleep(TICK),
            }
        }
    }

    fn press(&self, key: Key) {
        let effect = lock(&self.state).press(key);
        match effect {
            // Not after the step, which may be long: an evaluation ends by it too.
            Effect::Ask(Asked::Quit) => lock(&self.interrupt).request(),
            Effect::Ask(asked) => lock(&self.asked).push_back(asked),
            Effect::Nothing => {}
        }
    }
}

/// Keys that are pressed from now on, read on a thread that ends with the process.
fn keys() -> io::Result<Receiver<Key>> {
    let (send, keys) = channel();
    Builder::new().name("keys".into()).spawn(move || {
        for key in io::stdin().keys() {
            let Ok(key) = key else { return };
            if send.send(key).is_err() {
                return;
            }
        }
    })?;
    Ok(keys)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
