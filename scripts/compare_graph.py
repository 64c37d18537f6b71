#!/usr/bin/env python3
"""Reads and writes of the memories of a graph, forward and backward, beside their definitions and beside PyTorch.

All forms run in turn (A B C A B C ...) in one go, each in a process that waits for its turn; a figure is the median over the
rounds, a ratio the median of the rounds' ratios. Beside the time that passed stands that of the processor, over all threads,
which another program on the machine changes less; of each there is a ratio. PyTorch keeps places in the first dimension, where its gathers are fastest,
and runs in every form that a good user would try. Memory is the peak beside the inputs, in a process of its own. A form
that the machine has no memory for ends without an answer.

    DRAGON_GRAPH_EXAMPLE  the built example; else `cargo build --release -p burn_dragon_kernel --example graph_memories`
    DRAGON_BENCH_PYTHON   a Python that has torch (this one)
    DRAGON_BENCH_THREADS  threads on both sides (2)
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = os.environ.get("DRAGON_BENCH_PYTHON", sys.executable)
THREADS = os.environ.get("DRAGON_BENCH_THREADS", "2")
HEADS, DEGREE = 4, 8
SIZES = {"read": (32, 32, 0), "write": (32, 32, 0), "history": (128, 64, 4)}  # neurons, width, writes
FORMS = {"read": ("gather", "sparse", "compiled"), "write": ("gather", "sparse", "compiled"), "history": ("gather", "compiled")}
# No gathered edges of the definition and of PyTorch's beyond this many bytes: a machine of 24 GB does not hold their gradients.
MOST = 1 << 30
SLOW = 10  # a form so many times as slow as ours is run once


def edges_of(count):
    """Those of the example: the same numbers, sorted, without duplicates."""
    places, state, pairs = max(count // DEGREE, 1), 1, []

    def draw():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % places

    for _ in range(count):
        reader = draw()
        pairs.append((reader, draw()))
    return places, sorted(set(pairs))


class Torch:
    """PyTorch's forms of an operation on a graph, with the inputs of the example."""

    def __init__(self, operation, count):
        import torch

        warnings.filterwarnings("ignore", module="torch|compare_graph|__main__", message="Sparse")
        self.torch, self.operation = torch, operation
        torch.set_num_threads(int(THREADS))
        torch.manual_seed(1)
        places, pairs = edges_of(count)
        neurons, width, writes = SIZES[operation]
        self.reader, self.target = torch.tensor(pairs).T.contiguous()
        reader_counts = torch.bincount(self.reader, minlength=places)
        target_counts = torch.bincount(self.target, minlength=places)
        of_sum = target_counts[self.target] if operation == "write" else reader_counts[self.reader]
        self.weight = 1.0 / of_sum
        # Rows are what is summed into: the readers, or the targets of a write.
        ends = (self.target, self.reader) if operation == "write" else (self.reader, self.target)
        matrix = torch.sparse_coo_tensor(torch.stack(ends), self.weight, (places, places))
        self.matrix = matrix.coalesce().to_sparse_csr()

        def leaf(*shape, active=False):
            drawn = torch.rand(shape) * 2 - 1
            return (drawn.clamp_min(0) if active else drawn).requires_grad_()

        self.q = leaf(places, HEADS, neurons, active=True)
        self.v = leaf(places, width)
        self.rho = leaf(places, HEADS, neurons, width) if writes == 0 else None
        self.writes = [(leaf(places, HEADS, neurons, active=True), leaf(places, width)) for _ in range(writes)]
        self.leaves = [x for x in (self.q, self.rho) if x is not None]
        self.leaves += [self.v] if operation == "write" else [x for write in self.writes for x in write]
        self.compiled = {}

    def gather(self, q, rho, v, writes):
        torch, reader, target, weight = self.torch, self.reader, self.target, self.weight
        if self.operation == "read":
            terms = torch.einsum("ehn,ehnd->ehd", q[reader] * weight[:, None, None], rho[target])
            return torch.zeros(len(q), HEADS, rho.shape[3]).index_add(0, reader, terms)
        if self.operation == "write":
            terms = torch.einsum("ehn,ed->ehnd", q[reader] * weight[:, None, None], v[reader])
            return rho.index_add(0, target, terms)
        sums = torch.zeros(len(q), HEADS, writes[0][1].shape[1])
        asked = q[reader] * weight[:, None, None]
        for keys, values in writes:
            scores = torch.einsum("ehn,ehn->eh", asked, keys[target])
            sums = sums.index_add(0, reader, scores[:, :, None] * values[target][:, None])
        return sums

    def sparse(self, q, rho, v, writes):
        """Memories, or what is written into them, are summed over the edges by a sparse product."""
        torch = self.torch
        if self.operation == "write":
            written = torch.einsum("shn,sd->shnd", q, v)
            return rho + (self.matrix @ written.flatten(1)).view_as(rho)
        return torch.einsum("shn,shnd->shd", q, (self.matrix @ rho.flatten(1)).view_as(rho))

    def run(self, form):
        if form == "compiled" and form not in self.compiled:
            self.compiled[form] = self.torch.compile(self.gather, dynamic=False)
        function = self.compiled.get(form) or getattr(self, form)
        for leaf in self.leaves:
            leaf.grad = None
        started = time.perf_counter()
        function(self.q, self.rho, self.v, self.writes).sum().backward()
        return (time.perf_counter() - started) * 1e3

    def memory(self, form):
        for leaf in self.leaves:
            leaf.grad = None
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS:")
        self.run(form)
        return (resident("VmHWM:") - before) / 1024


def resident(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name))


def worker():
    """Answers as the example does."""
    known = {}
    for line in sys.stdin:
        form, operation, count, what = line.split()
        key = operation, int(count)
        if key not in known:
            known = {key: Torch(*key)}
        print(known[key].memory(form) if what == "memory" else known[key].run(form), flush=True)


class Ended(Exception):
    """The process ended without an answer, as it does where there is too little memory."""


class Side:
    """A process that waits for its turn."""

    def __init__(self, command):
        self.command = command
        kept = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}  # freed memory is kept, on both sides
        kept = {} if "memory" in command else kept
        # A thread of OpenMP that waits must not take the other side's core.
        threads = {"RAYON_NUM_THREADS": THREADS, "OMP_NUM_THREADS": THREADS, "OMP_WAIT_POLICY": "passive"}
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [part for part in command if part != "memory"]
        self.process = subprocess.Popen(command, env={**os.environ, **threads, **kept}, **pipe)

    def ask(self, *words):
        try:
            print(*words, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.__init__(self.command)
            raise Ended(" ".join(map(str, words)))
        return float(answer)

    def timed(self, *words):
        """Milliseconds that passed, and those of the processor, over all threads."""
        before = self.of_processor()
        passed = self.ask(*words, "time")
        return passed, self.of_processor() - before

    def of_processor(self):
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def example():
    given = os.environ.get("DRAGON_GRAPH_EXAMPLE")
    if given:
        return given
    build = ["cargo", "build", "--release", "--locked", "-p", "burn_dragon_kernel", "--example", "graph_memories"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release/examples/graph_memories")


def bytes_of_edges(operation, count):
    neurons, width, _ = SIZES[operation]
    return 4 * count * HEADS * (neurons + width if operation == "history" else neurons * width)


def measure(operation, count, a, sides, commands):
    """Milliseconds and MiB of each form, and how many times our time each takes."""
    ours, theirs = commands
    fits = bytes_of_edges(operation, count) <= MOST
    forms = [("ours", ours, "fast")] + [("definition", ours, "reference")] * (fits and not a.no_definition)
    torch = [form for form in FORMS[operation] if fits or form == "sparse"]
    forms += [(f"PyTorch {form}", theirs, form) for form in torch if not (form == "compiled" and a.no_compile)]
    times = {name: [] for name, _, _ in forms}
    for turn in range(a.rounds + 1):  # the first is a warm-up
        for name, command, form in list(forms):
            if turn > 1 and median(times[name], 0) > SLOW * median(times["ours"], 0):
                continue
            try:
                taken = sides[command].timed(form, operation, count)
            except Ended:
                forms.remove((name, command, form))
                continue
            if turn > 0:
                times[name].append(taken)
    row = {name: None for name in times}
    for name, command, form in forms:
        rounds = list(zip(times["ours"], times[name]))
        ratios = [[other[clock] / own[clock] for own, other in rounds] for clock in (0, 1)]
        row[name] = {
            "ms": median(times[name], 0),
            "ratio": statistics.median(ratios[0]),
            "processor_ms": median(times[name], 1),
            "processor_ratio": statistics.median(ratios[1]),
        }
        if not a.no_memory:
            row[name]["mib"] = memory_of(command, form, operation, count)
    return row


def median(times, clock):
    return statistics.median(taken[clock] for taken in times)


def memory_of(command, form, operation, count):
    """In a process of its own, after its inputs, without a round before it."""
    alone = Side([*command, "memory"])
    answer = alone.ask(form, operation, count, "memory")
    alone.close()
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--operations", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--no-definition", action="store_true", help="leave out the definition")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    a = parser.parse_args()
    commands = (example(),), (PYTHON, __file__, "worker")
    sides = {command: Side(command) for command in commands}
    for operation in a.operations:
        neurons, width, writes = SIZES[operation]
        for count in a.edges:
            row = measure(operation, count, a, sides, commands)
            if a.json:
                sizes = {"edges": count, "heads": HEADS, "neurons": neurons, "width": width, "writes": writes}
                print(json.dumps({"operation": operation, **sizes, "threads": int(THREADS), "forms": row}), flush=True)
                continue
            print(f"{operation}, {count} edges drawn, {HEADS} heads of {neurons} neurons, values of {width}", flush=True)
            for name, figures in row.items():
                if figures is None:
                    print(f"  {name:<16} ended without an answer", flush=True)
                    continue
                memory = f"{figures['mib']:>8.0f} MiB" if "mib" in figures else ""
                passed = f"{figures['ms']:>9.2f} ms {figures['ratio']:>7.2f}x"
                worked = f"{figures['processor_ms']:>9.2f} ms {figures['processor_ratio']:>7.2f}x of the processor"
                print(f"  {name:<16} {passed}  {worked} {memory}", flush=True)
    for side in sides.values():
        side.close()


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
