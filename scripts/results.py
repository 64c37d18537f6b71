"""What graph_results.py and sudoku_results.py have in common: numbers of runs, and their figures."""
import statistics


def numbers(text):
    """`1-3,7` as 1, 2, 3, 7."""
    ranges = [part.split("-") for part in text.split(",")]
    return [number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)]


def spread(values):
    values = [100 * value for value in values]
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation} %"
