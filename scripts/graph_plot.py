#!/usr/bin/env python3
"""Distances on random graphs by number of levels and by distance: graph_plot.py RUN [--dragon PROGRAM] [--docs FOLDER]

RUN is a run of `dragon train graph`. Graphs and their shortest distances are made here, from a seed and not by the program's
own generator; `dragon predict RUN GRAPHS --steps K` classifies their nodes with K levels. Writes FOLDER/graph_levels.svg
(docs/results), which is readable on a light and on a dark page, and prints its numbers as a table.
"""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import tempfile

FAR = 11
SIZES = {"20 to 40 nodes, as in training": (20, 40), "40 to 80 nodes": (40, 80)}
LEVELS = [*range(1, 29)]
SHOWN = [2, 4, 6, 8, 10, 14, 28]
COLOURS = ["#3987e5", "#d95926", "#2f9e6e", "#a06cd5", "#c98500", "#d0487e", "#7a8591"]


def random_graph(size, rng):
    """Edges, as in docs/configuration.md: a tree with some further edges, or random edges that may fall apart."""
    if rng.random() < 0.5:
        reach = lambda node: node if rng.random() < 0.5 else min(node, 3)
        edges = [(node - 1 - rng.randrange(reach(node)), node) for node in range(1, size)]
        more = rng.randrange(size // 4 + 1)
    else:
        edges, more = [], int(size * (0.8 + 0.8 * rng.random()))
    edges += [(rng.randrange(size), rng.randrange(size)) for _ in range(more)]
    order = rng.sample(range(size), size)
    return [(order[one], order[other]) for one, other in edges if one != other]


def distances(size, edges, source):
    """Shortest distances from the source; `FAR` beyond 10 and where there is no path."""
    near = collections.defaultdict(set)
    for one, other in edges:
        near[one].add(other)
        near[other].add(one)
    found, queue = {source: 0}, collections.deque([source])
    while queue:
        node = queue.popleft()
        for other in near[node] - found.keys():
            found[other] = found[node] + 1
            queue.append(other)
    return [min(found.get(node, FAR), FAR) for node in range(size)]


def graphs(sizes, count, seed):
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        size = rng.randint(*sizes)
        edges, source = random_graph(size, rng), rng.randrange(size)
        line = json.dumps({"nodes": size, "edges": edges, "source": source})
        made.append((line, distances(size, edges, source)))
    return made


def right_by_distance(dragon, run, made, levels):
    """[right, all] for each distance."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write("".join(line + "\n" for line, _ in made))
        file.flush()
        words = [dragon, "predict", run, file.name, "--steps", str(levels), "--json"]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    counts = [[0, 0] for _ in range(FAR + 1)]
    for graph, (_, labels) in zip(json.loads(answer.splitlines()[-1])["graphs"], made, strict=True):
        for guess, label in zip(graph["classes"], labels, strict=True):
            counts[label][0] += guess == ("far" if label == FAR else str(label))
            counts[label][1] += 1
    return counts


def share(counts):
    return sum(right for right, _ in counts) / sum(count for _, count in counts)


STYLE = """<style>
text { fill: #24292f; font: 12px sans-serif } .title { font-size: 14px } .grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #3d444d } }
</style>"""


def panel(left, title, x_title, xs, curves, x_name=str):
    """Shares over evenly spaced x, with the names of the curves at their right."""
    top, bottom, width = 44, 290, 250
    place = lambda i, y: f"{left + i * width / (len(xs) - 1):.1f},{bottom - y * (bottom - top):.1f}"
    out = [f'<text class="title" x="{left}" y="24">{title}</text>']
    for i in range(6):
        y = bottom - i * (bottom - top) / 5
        out.append(f'<path class="grid" d="M{left},{y:.1f} h{width}"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{20 * i} %</text>')
    for i, x in enumerate(xs):
        if len(xs) < 15 or i % 3 == 0 or x == xs[-1]:
            at = left + i * width / (len(xs) - 1)
            out.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{x_name(x)}</text>')
    out.append(f'<text x="{left + width / 2}" y="{bottom + 38}" text-anchor="middle">{x_title}</text>')
    for number, (name, values) in enumerate(curves.items()):
        colour = COLOURS[number]
        line = " ".join(place(i, y) for i, y in enumerate(values))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = top + 8 + 20 * number
        out.append(f'<path d="M{left + width + 14},{y - 4} h20" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{left + width + 40}" y="{y}">{name}</text>')
    return out


def picture(by_levels, by_distance):
    names = [*map(str, range(FAR)), "far"]
    parts = panel(56, "Nodes right, by levels run", "levels (14 in training)", LEVELS, by_levels)
    of_distance = {f"{levels} levels": values for levels, values in by_distance.items()}
    parts += panel(590, "Nodes right, by distance (40 to 80 nodes)", "distance from the source", names, of_distance)
    size = 'viewBox="0 0 960 340" width="960" height="340"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', STYLE, *parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--dragon", default="dragon")
    parser.add_argument("--docs", type=pathlib.Path, default=pathlib.Path("docs/results"))
    parser.add_argument("--graphs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    by_levels, by_distance = {}, {}
    for name, sizes in SIZES.items():
        made = graphs(sizes, arguments.graphs, arguments.seed)
        counts = {levels: right_by_distance(arguments.dragon, arguments.run, made, levels) for levels in LEVELS}
        by_levels[name] = [share(counts[levels]) for levels in LEVELS]
        by_distance = {levels: [share([of]) for of in counts[levels]] for levels in SHOWN}
    (arguments.docs / "graph_levels.svg").write_text(picture(by_levels, by_distance))
    print("| levels | " + " | ".join(by_levels) + " |\n|--:|" + "--:|" * len(by_levels))
    for i, levels in enumerate(LEVELS):
        print(f"| {levels} | " + " | ".join(f"{100 * values[i]:.1f} %" for values in by_levels.values()) + " |")


if __name__ == "__main__":
    main()
