#!/usr/bin/env python3
"""Every way to wire a dragon, at equal tokens: trains the variants and prints the tables of docs/results/variants.md.

    scripts/variants.py shakespeare --text tinyshakespeare.txt [--seeds 1,2,3] [--only plain,mhc_paper] [--seconds]
    scripts/variants.py tales [--seeds 1]
    scripts/variants.py depth --text tinyshakespeare.txt --levels 8,16
    scripts/variants.py low_bit --text tinyshakespeare.txt [--rates 2e-3,4e-3,8e-3]      each at its best learning rate
    scripts/variants.py shakespeare --table                     the table of what is there

Recipes are config/language/results/variants_*.toml. A finished run is a file in --dir and is not made again. Each run has one
thread. Seconds are of the processor and of the whole program; with --seconds each variant gets as many steps as fit into those of
the plain one of its seed. A difference is that of the same seeds, with the standard error of its mean.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from programs import ROOT, released

FILES = {task: ROOT / f"config/language/results/variants_{task}.toml" for task in ("shakespeare", "tales")}

# Name, and settings beside those of the plain one.
VARIANTS = {
    "plain": [],
    "gated_delta": ["model.mixer.type=gated_delta"],
    "rwkv8": ["model.mixer.type=rwkv8", "model.positions=none"],
    "mamba1": ["model.mixer.type=mamba1", "model.positions=none"],
    "mamba2": ["model.mixer.type=mamba2", "model.positions=none", "model.mixer.headdim=32"],
    "mamba3": ["model.mixer.type=mamba3", "model.positions=none", "model.mixer.headdim=32"],
    "pope": ["model.positions.type=pope"],
    "pope_softplus": ['model.positions={ type = "pope", magnitude = "softplus" }'],
    "pope_upstream": ["model.positions=pope_upstream"],
    "no_positions": ["model.positions=none"],
    "alibi": ["model.positions=none", "model.decay.type=standard"],
    "alibi_learnt": ["model.positions=none", 'model.decay={ type = "standard", learnable = true }'],
    "alibi_upstream": ["model.positions=none", "model.decay.type=upstream"],
    "rotary_and_alibi": ["model.decay.type=standard"],
    "attention_residual": ["model.connector.type=attention_residual"],
    "block_attention_residual": ["model.connector.type=block_attention_residual"],
    "mhc_paper": ["model.connector.type=mhc"],
    "mhc_lite": ['model.connector={ type = "mhc", coefficients = "lite" }'],
    "mhc_tilekernels": ['model.connector={ type = "mhc", coefficients = "tilekernels" }'],
    "mhc_static": ['model.connector={ type = "mhc", coefficients = "static" }'],
    "attention_residual_upstream": ["model.connector.type=attention_residual_upstream"],
    "block_upstream": ["model.connector.type=block_upstream"],
    "layer_affine": ['model.norm={ type = "layer", affine = true }'],
    "rms": ["model.norm.type=rms"],
    "rms_affine": ['model.norm={ type = "rms", affine = true }'],
    "dynamic_tanh": ['model.norm={ type = "dynamic_tanh", affine = true }'],
    "derf": ['model.norm={ type = "derf", affine = true }'],
    "near_critical": ["model.init.type=near_critical"],
    "he_glorot": ["model.init.type=he_glorot"],
    "semi_orthogonal": ["model.init.type=semi_orthogonal"],
    "depth_scaled": ["model.init.residual=depth_scaled"],
    "heavy_gains": ["model.init.gains.type=log_normal"],
    "modular": ["model.init.topology.type=modular"],
    "firing_gaussian": ['model.init.firing={ type = "gaussian" }'],
    "fanout": ["model.fanout={ type = \"geometric\", least = 128 }"],
    "summary_memory": ["model.summary_memory.chunk_tokens=32"],
    "neuron_recurrence": ["model.neuron_recurrence.chunk_tokens=32"],
}
CONNECTORS = [
    "plain",
    "attention_residual",
    "block_attention_residual",
    "mhc_paper",
    "mhc_lite",
    "attention_residual_upstream",
]

ALL_THREE = 'target_modules=["decoder_x","decoder_y","encoder"]'


def quant(protocol, *more):
    return ["model.quant={ " + ", ".join([f'protocol="{protocol}"', ALL_THREE, *more]) + " }"]


LOW_BIT = {
    "plain": [],
    "b1": quant("bitnet_b1"),
    "b158": quant("bitnet_b158"),
    "b158_heads": quant("bitnet_b158", 'weight_grouping="per_head_group"'),
    "b158_weights": quant("bitnet_b158", 'act_format="fp16"'),
    "int8": quant("bitnet_b158", 'weight_format="int8"'),
    "a48": quant("bitnet_a48_exp"),
    "v2": quant("bitnet_v2_exp"),
    "v2_int4": quant("bitnet_v2_exp", 'act_format="int4_exp"'),
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("task", choices=["shakespeare", "tales", "depth", "low_bit"])
    p.add_argument("--text", type=pathlib.Path)
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--levels", default="8,16", help="of the task depth")
    p.add_argument("--rates", default="2e-3,4e-3,8e-3", help="learning rates of the task low_bit")
    p.add_argument("--only", help="variants, by name")
    p.add_argument("--seconds", action="store_true", help="equal seconds of the processor, not equal tokens")
    p.add_argument("--set", action="append", default=[], help="a setting for all runs")
    p.add_argument("--table", action="store_true", help="train nothing")
    p.add_argument("--dragon", help="the program; else that of the release profile")
    p.add_argument("--dir", type=pathlib.Path, default=pathlib.Path.home() / ".cache/burn_dragon_variants")
    a = p.parse_args()
    a.seeds = [int(seed) for seed in a.seeds.split(",")]
    a.levels = [int(levels) for levels in a.levels.split(",")] if a.task == "depth" else [None]
    known = LOW_BIT if a.task == "low_bit" else VARIANTS
    names = CONNECTORS if a.task == "depth" else list(known)
    a.only = a.only.split(",") if a.only else names
    if unknown := set(a.only) - set(known):
        p.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    a.settings = known
    if a.task == "low_bit":  # a variant at a learning rate is one of its own
        rates = a.rates.split(",")
        a.settings = {f"{n}@{rate}": [*known[n], f"optimizer.learning_rate={rate}"] for n in a.only for rate in rates}
        a.only = list(a.settings)
    if a.text is None and a.task != "tales" and not a.table:
        p.error("--text FILE is needed")
    if a.seconds and not a.table and a.only[0] != "plain":
        a.only.insert(0, "plain")
    return a


def timed(command):
    """Figures of a training, with its seconds of the processor and its largest memory."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "NO_COLOR": "1"}
    program = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    out, err = program.stdout.read(), program.stderr.read()
    _, status, used = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{err}")
    figures = json.loads(out.strip().splitlines()[-1])
    return {**figures, "processor_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}


def run_of(a, name, seed, levels):
    form = f"{a.task}{levels or ''}{'-seconds' if a.seconds and name != 'plain' else ''}"
    return a.dir / f"{form}-{name}-s{seed}"


def kept_of(a, name, seed, levels):
    path = run_of(a, name, seed, levels).with_suffix(".json")
    return json.loads(path.read_text()) if path.exists() else None


def train(a, name, seed, levels):
    """Trains a variant, or reads what was kept of it."""
    if kept := kept_of(a, name, seed, levels):
        return kept
    recipe = FILES["tales" if a.task == "tales" else "shakespeare"]
    settings = [*a.settings[name], *a.set, f"training.seed={seed}"]
    if a.text:
        settings.append(f'dataset.paths=["{a.text.resolve()}"]')
    if levels:
        settings.append(f"model.n_levels={levels}")
    if a.seconds and name != "plain":
        plain, own = (json.loads(run.with_suffix(".json").read_text()) for run in equal_tokens(a, name, seed, levels))
        steps = own["steps"] * plain["processor_seconds"] / own["processor_seconds"]
        settings.append(f"training.max_steps={max(int(steps), 1)}")
    run = run_of(a, name, seed, levels)
    print(" ".join([run.name, *settings]), file=sys.stderr, flush=True)
    shutil.rmtree(run, ignore_errors=True)  # of a training that was broken off
    figures = timed([a.dragon, "train", "-c", recipe, *settings, "--out", run, "--json"])
    a.dir.mkdir(parents=True, exist_ok=True)
    run.with_suffix(".json").write_text(json.dumps(figures))
    return figures


def equal_tokens(a, name, seed, levels):
    """Runs of the plain one and of a variant at equal tokens, which say what a step costs."""
    form = f"{a.task}{levels or ''}"
    return a.dir / f"{form}-plain-s{seed}", a.dir / f"{form}-{name}-s{seed}"


def table(a, levels):
    """Table in Markdown of what is there: means over the seeds."""
    all_runs = {name: {seed: kept_of(a, name, seed, levels) for seed in a.seeds} for name in a.only}
    runs = {name: {s: kept for s, kept in kept.items() if kept} for name, kept in all_runs.items()}
    plain = runs.get("plain") or {seed: kept for seed in a.seeds if (kept := kept_of(a, "plain", seed, levels))}
    recall = a.task == "tales"
    print(f"\n### {a.task}{f', {levels} levels' if levels else ''}{', equal seconds' if a.seconds else ''}\n")
    print(f"| variant | seeds | bits per byte | beside plain |{' recall |' if recall else ''} processor, s | peak, MiB | x, y active |")
    print(f"|---|--:|--:|--:|{'--:|' if recall else ''}--:|--:|--:|")
    for name, kept in runs.items():
        if not kept:
            continue
        mean = lambda key: statistics.mean(figures[key] for figures in kept.values())
        words = [f"`{name}`", str(len(kept)), f"{mean('val_bits_per_byte'):.4f}", beside(kept, plain, name)]
        if recall:
            words.append(f"{100 * mean('recall_accuracy'):.1f} %")
        words += [f"{mean('processor_seconds'):.0f}", f"{mean('peak_mib'):.0f}"]
        words.append(f"{100 * mean('x_density'):.0f}, {100 * mean('y_density'):.0f} %")
        print("| " + " | ".join(words) + " |")


def best(a):
    """Table in Markdown of low-bit models, each at the learning rate at which the mean over its seeds is least."""
    runs = {}
    for name in a.only:
        kept = {seed: run for seed in a.seeds if (run := kept_of(a, name, seed, None))}
        if kept:
            variant, rate = name.split("@")
            loss = statistics.mean(run["val_bits_per_byte"] for run in kept.values())
            runs.setdefault(variant, []).append((loss, rate, kept))
    chosen = {variant: min(found, key=lambda one: one[:2]) for variant, found in runs.items()}
    plain = chosen.get("plain", (0, "", {}))[2]
    print("\n| variant | seeds | learning rate | bits per byte | beside plain | processor, s | x, y active | all rates |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    for variant, (loss, rate, kept) in chosen.items():
        mean = lambda key: statistics.mean(figures[key] for figures in kept.values())
        others = ", ".join(f"{other}: {bits:.3f}" for bits, other, _ in runs[variant])
        words = [f"`{variant}`", str(len(kept)), rate, f"{loss:.4f}", beside(kept, plain, variant)]
        words += [f"{mean('processor_seconds'):.0f}", f"{100 * mean('x_density'):.0f}, {100 * mean('y_density'):.0f} %", others]
        print("| " + " | ".join(words) + " |")


def beside(kept, plain, name):
    """Mean difference of bits per byte to the plain one, seed by seed."""
    if name == "plain":
        return ""
    apart = [kept[seed]["val_bits_per_byte"] - plain[seed]["val_bits_per_byte"] for seed in kept if seed in plain]
    if not apart:
        return "?"
    error = f" ± {statistics.stdev(apart) / len(apart) ** 0.5:.4f}" if len(apart) > 1 else ""
    return f"{statistics.mean(apart):+.4f}{error}"


def main():
    a = arguments()
    if not a.table:
        a.dragon = a.dragon or released("dragon")
        for seed in a.seeds:
            for levels in a.levels:
                for name in a.only:
                    train(a, name, seed, levels)
    for levels in a.levels:
        best(a) if a.task == "low_bit" else table(a, levels)


if __name__ == "__main__":
    main()
