//! Ctrl-C and SIGTERM: finish the step, save, then exit.

use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::TrainError;

/// Flag of the process, like the handler; `None` until it is installed.
static INSTALLED: Mutex<Option<Interrupt>> = Mutex::new(None);

/// What restores the terminal while a screen is drawn on it; `None` while there is none.
static SCREEN: Mutex<Option<fn()>> = Mutex::new(None);

/// Request to stop, which the trainer reads after each step. Clones share the request.
#[derive(Debug, Clone)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
    /// Time of the first signal, and the line that is printed then.
    heard: Arc<Mutex<(Option<Instant>, &'static str)>>,
}

/// Line printed at the first signal of a training.
const FINISHING: &str = "finishing the step and saving; press again to stop at once";

/// Time within which a second signal counts as the first one, which was sent to a process and to its group.
const SAME: Duration = Duration::from_millis(300);

impl Interrupt {
    /// Exit status of a program that was interrupted and has saved: 128 plus the number of SIGINT.
    pub const EXIT_CODE: i32 = 130;

    /// Listens for Ctrl-C, SIGTERM and SIGHUP. The first signal makes [`requested`](Self::requested) true. The second
    /// one, unless it comes within 0.3 s, ends the process at once with [`EXIT_CODE`](Self::EXIT_CODE). Further calls
    /// return the same request.
    ///
    /// # Errors
    ///
    /// If another part of the program uses `ctrlc` already, or the system refuses.
    pub fn install() -> Result<Self, TrainError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = installed.as_ref() {
            return Ok(interrupt.clone());
        }
        let interrupt = Self::none();
        let heard = interrupt.clone();
        // Not `try_set_handler`, which treats an ignored signal as a handled one. `nohup` and the `&` of a script start
        // programs with ignored signals, and those programs train too.
        ctrlc::set_handler(move || heard.signal()).map_err(TrainError::Interrupt)?;
        *installed = Some(interrupt.clone());
        Ok(interrupt)
    }

    /// A request without signals: only [`request`](Self::request) stops the run. For tests, and for programs that
    /// handle signals themselves.
    pub fn none() -> Self {
        Self {
            requested: Arc::new(AtomicBool::new(false)),
            heard: Arc::new(Mutex::new((None, FINISHING))),
        }
    }

    /// Asks the trainer to stop after the current step.
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
    }

    /// Withdraws the request: the next signal is a first one again. For programs that go on after an interruption.
    pub fn withdraw(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
        self.requested.store(false, Ordering::SeqCst);
    }

    /// The same request; the first signal is answered with this line on standard error.
    #[must_use]
    pub fn announced(self, line: &'static str) -> Self {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).1 = line;
        self
    }

    /// Whether a stop was requested.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Tells that a screen is drawn on the terminal from now on, and what restores it. Then the first signal prints
    /// nothing, and `restore` is called before the second one ends the process. `None` once the terminal is restored.
    pub fn while_drawn(restore: Option<fn()>) {
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = restore;
    }

    fn signal(&self) {
        let restore = *SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = heard.0.map(|at| at.elapsed());
        heard.0.get_or_insert_with(Instant::now);
        if self.requested.swap(true, Ordering::SeqCst) {
            if before.is_some_and(|since| since < SAME) {
                return;
            }
            restore.into_iter().for_each(|restore| restore());
            process::exit(Self::EXIT_CODE);
        }
        if restore.is_some() {
            return; // the screen tells
        }
        // Not `eprintln`, which panics when standard error is closed. The new line ends the live progress line.
        let _ = writeln!(io::stderr(), "\n{}", heard.1);
    }
}

impl Default for Interrupt {
    /// [`Interrupt::none`].
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reaches_every_clone_and_no_other() {
        let (interrupt, other) = (Interrupt::none(), Interrupt::none());
        let clone = interrupt.clone();
        assert!(!clone.requested());
        interrupt.request();
        assert!(clone.requested() && !other.requested());
    }

    #[test]
    fn a_request_that_is_withdrawn_can_be_made_again() {
        let interrupt = Interrupt::none().announced("stopping");
        interrupt.signal();
        assert!(interrupt.requested());
        interrupt.withdraw();
        assert!(!interrupt.requested());
        interrupt.signal(); // a second one without the withdrawal would end the process, or be taken for the first
        assert!(interrupt.requested());
    }

    #[cfg(unix)]
    mod signals {
        use super::*;
        use std::env;
        use std::process::{Command, Output};
        use std::thread::sleep;

        const SIGNALS: &str = "BURN_DRAGON_TEST_SIGNALS";

        /// Runs `child_receives_signals` below in a process of its own: a signal is felt by all its tests.
        fn child(signals: &str) -> Output {
            let name = "child_receives_signals";
            let mut command = Command::new(env::current_exe().unwrap());
            command
                .args([name, "--ignored", "--nocapture", "--test-threads=1"])
                .env(SIGNALS, signals)
                .output()
                .unwrap()
        }

        #[test]
        #[ignore = "the child of the tests below"]
        fn child_receives_signals() {
            let Ok(signals) = env::var(SIGNALS) else { return };
            let interrupt = Interrupt::install().unwrap();
            let again = Interrupt::install().unwrap();
            for signal in signals.split(',') {
                let apart = if signal.starts_with(' ') { 500 } else { 0 }; // a space stands for half a second
                sleep(Duration::from_millis(apart));
                let signal = signal.trim_start();
                let id = process::id().to_string();
                assert!(
                    Command::new("kill")
                        .args([signal, &id])
                        .status()
                        .unwrap()
                        .success()
                );
                for _ in 0..500 {
                    if !again.requested() {
                        sleep(Duration::from_millis(10));
                    }
                }
                assert!(interrupt.requested() && again.requested());
            }
            // Long enough for a second signal to end the process.
            sleep(Duration::from_millis(if signals.contains(',') {
                5000
            } else {
                0
            }));
        }

        #[test]
        fn the_first_signal_is_a_request() {
            for signal in ["-INT", "-TERM"] {
                let output = child(signal);
                assert!(output.status.success(), "{signal}: {output:?}");
                assert!(String::from_utf8_lossy(&output.stderr).contains("finishing the step and saving"));
            }
        }

        #[test]
        fn the_second_signal_exits_at_once() {
            assert_eq!(child("-TERM, -INT").status.code(), Some(Interrupt::EXIT_CODE));
        }

        #[test]
        fn a_signal_that_comes_twice_at_once_is_one() {
            // On a busy machine the second may come late once, not three times.
            assert!((0..3).any(|_| child("-INT,-INT").status.success()));
        }
    }
}
