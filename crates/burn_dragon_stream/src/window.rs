//! Windows of truncated backpropagation through time.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::StreamError;

/// Window of truncated backpropagation through time: the number of steps read in a row, and the number of last steps
/// through which gradients flow back.
///
/// ```
/// use burn_dragon_stream::api::TbpttWindow;
///
/// let window = TbpttWindow::new(4, 2);
/// assert_eq!(window.detach_prefix_steps(), 2);
/// assert!(window.requires_detach());
/// assert_eq!(TbpttWindow::new(0, 9), TbpttWindow::new(1, 1));
/// assert!(TbpttWindow::try_new(4, 5).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "TbpttWindowFields", into = "TbpttWindowFields")]
pub struct TbpttWindow {
    unroll_steps: usize,
    backprop_steps: usize,
}

/// Steps of one window: first those that only fill memory, then those with gradients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowSteps {
    /// Steps read without gradients.
    pub detached: Range<usize>,
    /// Steps through which gradients flow back, and no farther.
    pub tracked: Range<usize>,
}

impl TbpttWindow {
    /// A window of `unroll_steps`, with gradients through the last `backprop_steps` of them.
    ///
    /// Values are clamped to `unroll_steps >= 1` and `1 <= backprop_steps <= unroll_steps`; [`TbpttWindow::try_new`]
    /// refuses others.
    pub fn new(unroll_steps: usize, backprop_steps: usize) -> Self {
        let unroll_steps = unroll_steps.max(1);
        let backprop_steps = backprop_steps.clamp(1, unroll_steps);
        Self {
            unroll_steps,
            backprop_steps,
        }
    }

    /// A window of `unroll_steps`, with gradients through the last `backprop_steps` of them.
    ///
    /// # Errors
    /// [`StreamError::Window`] unless `1 <= backprop_steps <= unroll_steps`.
    pub fn try_new(unroll_steps: usize, backprop_steps: usize) -> Result<Self, StreamError> {
        if (1..=unroll_steps).contains(&backprop_steps) {
            return Ok(Self {
                unroll_steps,
                backprop_steps,
            });
        }
        Err(StreamError::Window {
            unroll_steps,
            backprop_steps,
        })
    }

    /// Number of steps read in a row, at least 1.
    pub fn unroll_steps(&self) -> usize {
        self.unroll_steps
    }

    /// Number of last steps through which gradients flow, from 1 to [`unroll_steps`](Self::unroll_steps()).
    pub fn backprop_steps(&self) -> usize {
        self.backprop_steps
    }

    /// Number of first steps through which no gradients flow.
    pub fn detach_prefix_steps(&self) -> usize {
        self.unroll_steps - self.backprop_steps
    }

    /// Whether [`detach_prefix_steps`](Self::detach_prefix_steps) is above 0.
    pub fn requires_detach(&self) -> bool {
        self.detach_prefix_steps() > 0
    }

    /// Windows of a stream of `steps` steps, one after another.
    ///
    /// If the steps do not divide evenly, the last window is shorter: it first loses detached steps, then tracked ones.
    ///
    /// ```
    /// use burn_dragon_stream::api::{TbpttWindow, WindowSteps};
    ///
    /// let windows: Vec<_> = TbpttWindow::new(4, 3).split(6).collect();
    /// assert_eq!(windows[0], WindowSteps { detached: 0..1, tracked: 1..4 });
    /// assert_eq!(windows[1], WindowSteps { detached: 4..4, tracked: 4..6 });
    /// assert_eq!(windows.len(), 2);
    /// ```
    pub fn split(self, steps: usize) -> impl Iterator<Item = WindowSteps> {
        (0..steps).step_by(self.unroll_steps).map(move |start| {
            let end = steps.min(start.saturating_add(self.unroll_steps));
            let tracked = end.saturating_sub(self.backprop_steps).max(start);
            WindowSteps {
                detached: start..tracked,
                tracked: tracked..end,
            }
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TbpttWindowFields {
    unroll_steps: usize,
    backprop_steps: usize,
}

impl TryFrom<TbpttWindowFields> for TbpttWindow {
    type Error = StreamError;

    fn try_from(fields: TbpttWindowFields) -> Result<Self, StreamError> {
        Self::try_new(fields.unroll_steps, fields.backprop_steps)
    }
}

impl From<TbpttWindow> for TbpttWindowFields {
    fn from(
        TbpttWindow {
            unroll_steps,
            backprop_steps,
        }: TbpttWindow,
    ) -> Self {
        Self {
            unroll_steps,
            backprop_steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_try_new_takes_new_leaves_alone_and_what_it_refuses_new_moves() {
        for unroll in 0..6 {
            for backprop in 0..8 {
                let moved = TbpttWindow::new(unroll, backprop);
                let window = TbpttWindow::try_new(moved.unroll_steps, moved.backprop_steps).unwrap();
                assert_eq!(window, moved);
                let kept = (moved.unroll_steps, moved.backprop_steps) == (unroll, backprop);
                match TbpttWindow::try_new(unroll, backprop) {
                    Ok(window) => assert!(kept && window == moved),
                    Err(StreamError::Window {
                        unroll_steps,
                        backprop_steps,
                    }) => {
                        assert!(!kept && (unroll_steps, backprop_steps) == (unroll, backprop));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(TbpttWindow::new(4, 9), TbpttWindow::new(4, 4));
        assert_eq!(TbpttWindow::new(4, 0), TbpttWindow::new(4, 1));
        assert!(!TbpttWindow::new(4, 4).requires_detach());
    }

    #[test]
    fn windows_cover_every_step_once() {
        for (unroll, backprop) in [(1, 1), (4, 1), (4, 3), (5, 5), (usize::MAX, 2)] {
            let window = TbpttWindow::new(unroll, backprop);
            for steps in 0..20 {
                let mut next = 0;
                for WindowSteps { detached, tracked } in window.split(steps) {
                    assert_eq!((detached.start, detached.end), (next, tracked.start));
                    assert!(detached.start <= detached.end);
                    assert!((1..=backprop).contains(&tracked.len()));
                    assert!(detached.len() <= window.detach_prefix_steps());
                    next = tracked.end;
                }
                assert_eq!(next, steps);
            }
        }
    }

    #[test]
    fn a_window_from_a_file_is_checked_not_moved() {
        let window = TbpttWindow::new(4, 2);
        let text = serde_json::to_string(&window).unwrap();
        assert_eq!(text, r#"{"unroll_steps":4,"backprop_steps":2}"#);
        assert_eq!(serde_json::from_str::<TbpttWindow>(&text).unwrap(), window);
        let error = serde_json::from_str::<TbpttWindow>(&text.replace('2', "5")).unwrap_err();
        assert!(error.to_string().contains("backprop_steps is 5"), "{error}");
    }
}
