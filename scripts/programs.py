"""Where cargo puts the programs of the release profile; scripts/target.sh for scripts in Python."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def released(name):
    """The path of a program, whether it is built or not."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    target = json.loads(subprocess.check_output(command, cwd=ROOT))["target_directory"]
    return str(pathlib.Path(target) / os.environ.get("CARGO_BUILD_TARGET", "") / "release" / name)
