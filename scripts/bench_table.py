"""What scripts that time programs share: runs of a command, ratios of figures, tables in Markdown."""
import json
import statistics
import subprocess

# Runs that are slower than the best of their precision by more than this are not repeated.
HOPELESS = 1.5


class Failed(Exception):
    """A command that ended with an error: which, and what it said."""


def last_object(words, command, folder, **options):
    """The JSON object on the last line of what a command prints."""
    run = subprocess.run(words, cwd=folder, capture_output=True, text=True, **options)
    if run.returncode:
        raise Failed(f"failed ({run.returncode}): {command}\n{run.stderr[-3000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def precision(label):
    """What a run computes in, by its label: `f32` or `bf16`."""
    return "bf16" if "bf16" in label else "f32"


def is_ours(label):
    return not label.startswith("PyTorch")


def base_of(label, labels):
    """The run that another one is compared with: ours of the same precision, or the first of all."""
    ours = [other for other in labels if is_ours(other)]
    same = [other for other in ours if precision(other) == precision(label) and not is_ours(label)]
    return (same or ours)[0]


def rivals(label, labels):
    """Runs that are the same work in the same precision, by the same side."""
    return [other for other in labels if is_ours(other) == is_ours(label) and precision(other) == precision(label)]


def is_hopeless(label, first):
    """Whether a run of PyTorch need not be repeated; `first` holds tokens a second of each run's first round."""
    if is_ours(label):
        return False
    return first[label] * HOPELESS < max(first[other] for other in rivals(label, first))


def ratio(each, base):
    """Median over the rounds of a base's speed over another's."""
    return statistics.median(a / b for a, b in zip(base, each))


def best(speeds):
    """For each of our runs that PyTorch is compared with, PyTorch's fastest. `speeds` holds tokens a second of each run."""
    fastest = {}
    for label in sorted((label for label in speeds if not is_ours(label)), key=speeds.get):
        fastest[base_of(label, speeds)] = label
    return fastest


# Writing.


def digits(value):
    for limit, places in ((9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{places}f}"
    return f"{value:,.0f}"


def seconds(value):
    scale, unit = (1e6, "us") if value < 1e-3 else (1e3, "ms") if value < 1 else (1, "s")
    return f"{digits(value * scale)} {unit}"


def share(value):
    return "" if value is None else f"{digits(100 * value)} %"


def peak(figures):
    """Share of the f32 peak, and of the bf16 peak where that is what was computed in."""
    bf16 = figures.get("bf16_peak_share")
    return share(figures.get("peak_share")) + ("" if bf16 is None else f" ({share(bf16)} of bf16)")


def mebibytes(figures):
    most, library = figures.get("peak_memory_bytes"), figures.get("memory_before_bytes")
    if most is None:
        return ""
    return f"{most / 2**20:,.0f} MiB" + ("" if library is None else f" ({library / 2**20:,.0f})")


def columns(head, rows):
    """A table whose first column is text and whose others are figures."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
