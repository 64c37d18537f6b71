#!/usr/bin/env python3
"""The texts of scripts/streams.sh, and its report: tables and plots from the figures of `dragon eval`.

    streams.py texts GUTENBERG FOLDER BYTES          # novels without Project Gutenberg's own words
    streams.py report FIGURES DOCS NAME=STEPS ...    # docs/results/streams.md and its .svg

In the report, what stands between `<!-- begin X -->` and `<!-- end X -->` is made here; the words around it are kept.
"""
import json
import math
import pathlib
import re
import statistics
import sys

NOVELS = {
    "don-quixote": "Don-Quixote_996.txt",
    "moby-dick": "Moby-Dick--Or-The-Whale_2701.txt",
    "pride-and-prejudice": "Pride-and-Prejudice_1342.txt",
    "war-and-peace": "War-and-Peace_2600.txt",
}
HELD_OUT = "war-and-peace"

# (runs are trained on, what they are called); (memory in evaluation, what it is called).
TRAINED = {
    "window": "independent windows",
    "reset": "memory emptied every 128 bytes",
    "reset-decay": "memory emptied every 128 bytes, decay",
    "context": "carried memory, emptied every 2,048 bytes",
    "long": "windows of 2,048 bytes",
    "carried": "carried memory",
    "through": "carried memory, gradients through 4 windows",
    "decay": "carried memory, decay",
    "window-decay": "independent windows, decay",
    "carried-decay": "carried memory, decay",
    "through-decay": "carried memory, decay, gradients through 4 windows",
}
COLOURS = ["#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#444444", "#d16ba5", "#5f9ea0", "#7f7f00"]


# Texts.


def texts(gutenberg, folder, most):
    """Writes the novels, and of the held-out one its first bytes, up to a line's end."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in NOVELS.items():
        text = novel((gutenberg / file).read_bytes())
        if name == HELD_OUT and len(text) > most:
            text = text[: text.rfind(b"\n", 0, most) + 1]
        target = folder / f"{name}.txt"
        if not target.exists() or target.read_bytes() != text:
            target.write_bytes(text)


def novel(text):
    """The text between Project Gutenberg's markers, with plain line ends."""
    text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"")
    begin = re.search(rb"\*\*\* ?START OF[^\n]*\*\*\*\n", text)
    end = re.search(rb"\*\*\* ?END OF[^\n]*\*\*\*", text)
    if begin is None or end is None:
        sys.exit("a novel has no START OF and END OF marker of Project Gutenberg")
    text = re.sub(rb"\n *End of (the |this )?Project Gutenberg[^\n]*\s*$", b"", text[begin.end() : end.start()])
    return text.strip(b"\n") + b"\n"


# Figures.


class Figures:
    """The JSON that evaluations left: FOLDER/RUN.MEMORY.json, where a run's name is KIND-TRAINED-STEPS[-sSEED]."""

    def __init__(self, folder, steps):
        self.folder, self.steps = folder, steps

    def of(self, kind, trained, memory):
        """One evaluation for each seed, seeds in order."""
        pattern = f"{kind}-{trained}-{self.steps[kind]}*.{memory}.json"
        # `*` would also take 30000 steps for 3000.
        name = re.compile(re.escape(f"{kind}-{trained}-{self.steps[kind]}") + r"(-s\d+)?\." + memory + r"\.json")
        files = sorted(file for file in self.folder.glob(pattern) if name.fullmatch(file.name))
        return [json.loads(file.read_text()) for file in files]

    def curves(self, kind, memories, points):
        """{label: {x: values over the seeds}} of every way to train and every memory there are figures of."""
        curves = {}
        for trained, title in TRAINED.items():
            for memory in memories:
                evaluations = self.of(kind, trained, memory)
                if evaluations:
                    curve = {}
                    for x, value in (point for evaluation in evaluations for point in points(evaluation)):
                        curve.setdefault(x, []).append(value)
                    curves[f"{title}; {memory}"] = curve
        return curves


def shown(values, digits, scale=1.0):
    """A mean, and the standard deviation where there are several."""
    text = f"{scale * statistics.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {scale * statistics.stdev(values):.{digits}f}"
    return text


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(['---'] + ['--:'] * (len(head) - 1))}|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def curve_table(first, curves, name, show):
    """A line for each x, a column for each curve."""
    xs = sorted({x for curve in curves.values() for x in curve})
    rows = [[name(x)] + [show(curve[x]) if x in curve else "" for curve in curves.values()] for x in xs]
    return table([first, *curves], rows)


# Plots.


def plot(title, x_title, y_title, curves, y_range=None, x_name=str):
    """Lines over a logarithmic x, the spread of the seeds behind them, as SVG."""
    width, height, left, right, top, bottom = 860, 420, 64, 270, 40, 48
    xs = sorted({x for curve in curves.values() for x in curve})
    values = [value for curve in curves.values() for values in curve.values() for value in values]
    low, high = y_range or (min(values), max(values))
    if y_range is None:
        margin = 0.06 * (high - low) or 0.1
        low, high = low - margin, high + margin
    span = math.log(xs[-1] / xs[0]) or 1.0

    def place(x, y):
        across = math.log(x / xs[0]) / span if len(xs) > 1 else 0.5
        up = (min(max(y, low), high) - low) / (high - low)
        return f"{left + across * (width - left - right):.1f},{height - bottom - up * (height - top - bottom):.1f}"

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="22" font-size="15">{title}</text>',
    ]
    for i in range(6):
        y = low + (high - low) * i / 5
        (_, at), (end, _) = place(xs[0], y).split(","), place(xs[-1], y).split(",")
        out.append(f'<path d="M{left},{at} H{end}" stroke="#e3e3e3"/>')
        out.append(f'<text x="{left - 8}" y="{float(at) + 4:.1f}" text-anchor="end">{y:.2f}</text>')
    for x in xs:
        at = place(x, low).split(",")[0]
        out.append(f'<text x="{at}" y="{height - bottom + 18}" text-anchor="middle">{x_name(x)}</text>')
    out.append(f'<text x="{left}" y="{height - 8}">{x_title}</text>')
    out.append(f'<text x="14" y="{top + 120}" transform="rotate(-90 14 {top + 120})">{y_title}</text>')
    for i, (label, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        dashes = "" if label.endswith("; carried") else ' stroke-dasharray="6 4"' if label.endswith("; reset") else ' stroke-dasharray="2 3"'
        points = sorted(curve.items())
        if any(len(values) > 1 for _, values in points):
            edge = [place(x, max(values)) for x, values in points] + [place(x, min(values)) for x, values in reversed(points)]
            out.append(f'<polygon points="{" ".join(edge)}" fill="{colour}" opacity="0.15"/>')
        line = " ".join(place(x, statistics.mean(values)) for x, values in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        y = top + 14 + 20 * i
        out.append(f'<path d="M{width - right + 14},{y - 4} h26" stroke="{colour}" stroke-width="2"{dashes}/>')
        out.append(f'<text x="{width - right + 46}" y="{y}">{label}</text>')
    return "\n".join([*out, "</svg>", ""])


# The report.


def by_position(evaluation):
    return [(bucket["from"] or 128, bucket["bits_per_byte"]) for bucket in evaluation["by_position"]]


def by_distance(evaluation):
    return [(point["distance"], point["accuracy"]) for point in evaluation["by_distance"]]


def by_group(evaluation):
    return [(int(group["name"].split("-")[-1].rstrip("+")), group["accuracy"]) for group in evaluation["recall"]["by_distance"]]


def position_name(x):
    return "0-255" if x == 128 else f"{x}-{2 * x - 1}"


def percent(values):
    return shown(values, 0, 100.0)


def novels(figures, docs):
    curves = figures.curves("novel", ["carried", "reset"], by_position)
    if not curves:
        return None
    (docs / "streams_bits.svg").write_text(
        plot("War and Peace, by position", "position in the text, bytes", "bits per byte", curves, x_name=lambda x: str(x if x > 128 else 0))
    )
    rows = []
    for trained, title in TRAINED.items():
        for memory in ["carried", "reset"]:
            evaluations = figures.of("novel", trained, memory)
            if evaluations:
                rows.append([title, memory, shown([e["bits_per_byte"] for e in evaluations], 4), str(len(evaluations))])
    whole = table(["trained with", "memory when evaluated", "bits per byte", "seeds"], rows)
    return "\n\n".join(
        [whole, "![bits per byte by position](streams_bits.svg)", curve_table("position", curves, position_name, lambda v: shown(v, 3))]
    )


def needles(figures, docs):
    curves = figures.curves("needle", ["carried", "sliding", "reset"], by_distance)
    if not curves:
        return None
    (docs / "streams_needle.svg").write_text(
        plot("A fact d bytes back", "d, bytes", "share recalled", curves, y_range=(0.0, 1.0))
    )
    points = [p for trained in TRAINED for e in figures.of("needle", trained, "carried") for p in e["by_distance"]]
    chance = (
        f"{points[0]['count']} cases at each distance. Chance among all words of a kind is "
        f"{100 * statistics.mean(p['chance'] for p in points):.0f} %, among those that the document mentions "
        f"{100 * statistics.mean(p['chance_among_stated'] for p in points):.0f} %."
    )
    return "\n\n".join(["![recall by distance](streams_needle.svg)", curve_table("bytes back", curves, str, percent), chance])


def tales(figures, _docs):
    curves = figures.curves("tales", ["carried", "reset"], by_group)
    if not curves:
        return None
    rows = []
    for trained, title in TRAINED.items():
        for memory in ["carried", "reset"]:
            for e in figures.of("tales", trained, memory):
                overall = e["recall"]["overall"]
                numbers = [f"{100 * overall['accuracy']:.0f}", f"{100 * overall['chance']:.0f}", f"{e['bits_per_byte']:.4f}"]
                rows.append([title, memory, *numbers])
    whole = table(["trained with", "memory when evaluated", "recall, %", "chance, %", "bits per byte"], rows)
    return "\n\n".join([whole, curve_table("distance, bytes, up to", curves, str, percent)])


def report(folder, docs, steps):
    path = docs / "streams.md"
    page = path if path.exists() else pathlib.Path(__file__).resolve().parent.parent / "docs/results/streams.md"
    text = page.read_text()
    figures = Figures(folder, steps)
    for name, make in {"novels": novels, "needles": needles, "tales": tales}.items():
        made = make(figures, docs)
        if made is None:
            print(f"no figures of the {name} in {folder}: that part of {path} is as it was", file=sys.stderr)
            continue
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{made}\n\n{end}{rest.split(end)[1]}"
    path.write_text(text)
    print(path)


def main():
    match sys.argv[1:]:
        case ["texts", gutenberg, folder, most]:
            texts(pathlib.Path(gutenberg), pathlib.Path(folder), int(most))
        case ["report", folder, docs, *steps]:
            pairs = dict(pair.split("=") for pair in steps)
            report(pathlib.Path(folder), pathlib.Path(docs), {name: int(count) for name, count in pairs.items()})
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
