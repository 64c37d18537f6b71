//! The screen as a function of its state.

use super::state::State;
use burn_dragon_train::api::expert::{count, duration, rate};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Clear, Dataset, GraphType, Paragraph, Wrap};

/// Size below which only the most important things are shown.
const FULL: (u16, u16) = (60, 18);

const KEYS: &str = "p pause   s save   g sample   q quit   ? help";

const HELP: &str = "p  pause, and go on
s  save a checkpoint now
g  draw a sample now
q  finish the step, save and quit
?  this help

Lines in the upper part: loss of training steps;
points: loss on held-out data.";

/// Draws the state.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let [header, body, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(head(state), header);
    frame.render_widget(Paragraph::new(Line::from(KEYS).style(faint(state))), keys);
    if area.width < FULL.0 || area.height < FULL.1 {
        draw_small(frame, body, state);
    } else {
        draw_full(frame, body, state);
    }
    if state.help {
        draw_help(frame, area);
    }
}

/// Figures in lines, and the curve if there is room for it.
fn draw_small(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let lines = figures(state);
    let height = (lines.len() as u16).min(area.height);
    let [figures, curve] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(lines), figures);
    if curve.height > 4 && curve.width > 20 {
        draw_curve(frame, curve, state);
    }
}

fn draw_full(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let levels = (state.density.len().max(5) as u16).min(area.height / 4) + 2;
    let [curve, middle, below] = Layout::vertical([
        Constraint::Fill(3),
        Constraint::Length(levels),
        Constraint::Fill(2),
    ])
    .areas(area);
    let halves = |area| Layout::horizontal([Constraint::Fill(1); 2]).areas::<2>(area);
    draw_curve(frame, curve, state);
    let [left, right] = halves(middle);
    let inside = left.width.saturating_sub(2);
    frame.render_widget(
        Paragraph::new(density(state, inside)).block(Block::bordered().title("active neurons")),
        left,
    );
    frame.render_widget(
        Paragraph::new(figures(state)).block(Block::bordered().title("last step")),
        right,
    );
    let [left, right] = halves(below);
    let (title, text) = match &state.sample {
        Some((step, text)) => (format!("sample at step {}", count(*step)), text.as_str()),
        None => ("sample".into(), "none yet; g draws one"),
    };
    frame.render_widget(
        Paragraph::new(text)
            .wrap(Wrap { trim: false })
            .block(Block::bordered().title(title)),
        left,
    );
    frame.render_widget(messages(state, right), right);
}

fn head(state: &State) -> Paragraph<'static> {
    let mut words = vec![Span::raw(format!(
        "step {} of {}",
        count(state.step),
        count(state.total_steps)
    ))];
    let share = 100.0 * state.step as f64 / state.total_steps.max(1) as f64;
    words.push(Span::raw(format!("  {share:.0} %")));
    if let Some(last) = &state.last {
        words.push(Span::raw(format!("  {} left", duration(last.eta_seconds))));
    }
    let mood = match (state.stopping, state.paused) {
        (true, _) => Some("  finishing the step and saving"),
        (false, true) => Some("  paused"),
        (false, false) => None,
    };
    words.extend(mood.map(|mood| Span::styled(mood, Style::new().add_modifier(Modifier::REVERSED))));
    words.push(Span::styled(format!("  {}", state.run), faint(state)));
    Paragraph::new(Line::from(words))
}

fn draw_curve(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let points = || state.trained.iter().chain(&state.evaluated);
    let losses = || points().map(|(_, loss)| *loss).filter(|loss| loss.is_finite());
    let block = Block::bordered().title("loss");
    let (low, high) = losses().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| {
        (low.min(loss), high.max(loss))
    });
    if low > high {
        let waiting = Paragraph::new("no step is reported yet").alignment(Alignment::Center);
        frame.render_widget(waiting.block(block), area);
        return;
    }
    let margin = ((high - low) * 0.05).max(1e-3 * high.abs()).max(1e-9);
    let (low, high) = (low - margin, high + margin);
    let steps = state.total_steps.max(1) as f64;
    let colour = |colour| {
        if state.coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    };
    let data = |name: &'static str, points, marker, kind, style| {
        Dataset::default()
            .name(name)
            .data(points)
            .marker(marker)
            .graph_type(kind)
            .style(style)
    };
    let datasets = vec![
        data(
            "training",
            &state.trained,
            Marker::Braille,
            GraphType::Line,
            colour(Color::Cyan),
        ),
        data(
            "held out",
            &state.evaluated,
            Marker::Dot,
            GraphType::Scatter,
            colour(Color::Yellow),
        ),
    ];
    let chart = Chart::new(datasets)
        .block(block)
        .x_axis(
            Axis::default()
                .bounds([0.0, steps])
                .labels(["0".to_string(), count(state.total_steps)]),
        )
        .y_axis(
            Axis::default()
                .bounds([low, high])
                .labels([format!("{low:.2}"), format!("{high:.2}")]),
        );
    frame.render_widget(chart, area);
}

/// A line for each level: shares of active neurons, and a bar relative to the largest share.
fn density(state: &State, width: u16) -> Vec<Line<'static>> {
    let largest = state
        .density
        .iter()
        .fold(1e-9, |most: f64, (x, y)| most.max(*x).max(*y));
    let room = usize::from(width).saturating_sub(26) / 2;
    let bar = |share: f64| {
        let filled = ((share / largest) * room as f64).round().clamp(0.0, room as f64) as usize;
        format!("{}{}", "█".repeat(filled), " ".repeat(room - filled))
    };
    let levels = state.density.iter().enumerate().map(|(level, (x, y))| {
        let (x, y) = ((bar(*x), 100.0 * x), (bar(*y), 100.0 * y));
        Line::from(format!(
            "{:>3}  x {} {:>5.1} %  y {} {:>5.1} %",
            level + 1,
            x.0,
            x.1,
            y.0,
            y.1
        ))
    });
    levels.collect()
}

/// Figures of the last step, a line each.
fn figures(state: &State) -> Vec<Line<'static>> {
    let Some(last) = &state.last else {
        return vec![Line::from("no step is reported yet")];
    };
    let held_out = state
        .evaluated
        .last()
        .map(|(_, loss)| format!("   held out {loss:.3}"));
    let mut lines = vec![
        Line::from(format!("loss {:.3}{}", last.loss, held_out.unwrap_or_default())),
        Line::from(format!("{} {}/s", rate(last.units_per_second), state.unit)),
        Line::from(format!(
            "lr {:.1e}   grad {:.3}",
            last.learning_rate, last.gradient_norm
        )),
    ];
    let utilisation = last
        .utilisation
        .map(|share| format!("flops {:.0} %", 100.0 * share));
    lines.extend(utilisation.map(Line::from));
    let of_figure = |(figure, value): &(burn_dragon_train::api::Figure, f64)| {
        Line::from(format!("{} {}", figure.name, figure.format.write(*value)))
    };
    lines.extend(last.figures.iter().map(of_figure));
    lines
}

/// The last messages that fit.
fn messages(state: &State, area: Rect) -> Paragraph<'static> {
    let room = usize::from(area.height.saturating_sub(2));
    let first = state.notes.len().saturating_sub(room);
    let lines: Vec<Line<'static>> = state.notes[first..]
        .iter()
        .map(|note| Line::from(note.clone()))
        .collect();
    Paragraph::new(lines).block(Block::bordered().title("messages"))
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = (
        area.width.min(52),
        area.height.min(HELP.lines().count() as u16 + 2),
    );
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(HELP).block(Block::bordered().title("help")), place);
}

fn faint(state: &State) -> Style {
    match state.coloured {
        true => Style::new().fg(Color::DarkGray),
        false => Style::new().add_modifier(Modifier::DIM),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{busy, opened};
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn terminal(state: &State, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal
    }

    fn drawn(state: &State, width: u16, height: u16) -> String {
        terminal(state, width, height).backend().to_string()
    }

    #[test]
    fn eighty_columns_have_everything_that_matters() {
        let text = drawn(&busy(), 80, 24);
        for part in [
            "step 1,200 of 7,000",
            "17 %",
            "3m 05s left",
            "runs/a",
            "loss 2.314   held out 2.401",
            "12k tok/s",
            "grad 0.810",
            "bits per byte 3.339",
            "active neurons",
            "4.7 %",
            "sample at step 1,000",
            "Mira hid the red key",
            "a checkpoint was late",
            "p pause   s save   g sample   q quit   ? help",
            "7,000",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        // Two levels, a curve in dots.
        assert!(text.contains("  1  x ") && text.contains("  2  x "), "{text}");
        assert!(
            text.contains(|c: char| ('\u{2801}'..='\u{28ff}').contains(&c)),
            "{text}"
        );
    }

    #[test]
    fn pause_end_and_help_are_seen() {
        let mut state = busy();
        state.paused = true;
        assert!(drawn(&state, 80, 24).contains("paused"));
        state.stopping = true;
        assert!(drawn(&state, 80, 24).contains("finishing the step and saving"));
        state.help = true;
        assert!(drawn(&state, 80, 24).contains("save a checkpoint now"));
    }

    #[test]
    fn no_size_is_too_small_or_too_large() {
        let mut help = busy();
        help.help = true;
        let mut broken = busy();
        broken.trained = vec![(1.0, f64::NAN), (2.0, f64::INFINITY)];
        broken.evaluated.clear();
        broken.density = vec![(f64::NAN, f64::INFINITY); 40];
        for state in [opened(), busy(), help, broken] {
            for width in (0..100).chain([240, 500]) {
                for height in (0..30).step_by(1 + usize::from(width % 7)).chain([90]) {
                    terminal(&state, width, height);
                }
            }
        }
    }

    #[test]
    fn a_small_terminal_has_the_position_and_the_loss() {
        let text = drawn(&busy(), 30, 5);
        assert!(
            text.contains("step 1,200 of 7,000") && text.contains("loss 2.314"),
            "{text}"
        );
    }

    #[test]
    fn without_colours_none_is_drawn() {
        let colours = |coloured| {
            let mut state = busy();
            state.coloured = coloured;
            let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
            terminal.draw(|frame| draw(frame, &state)).unwrap();
            let cells = terminal.backend().buffer().content().iter();
            cells
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert_eq!(colours(false), 0);
        assert!(colours(true) > 0);
    }
}
