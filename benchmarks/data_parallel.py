"""How much faster do several processes learn one run? The same command by one process and by more, one after the other.

Each has an equal share of the cores (on GPUs, one each). Features are computed before, so that seconds are of learning
alone. It needs the extra ``accelerate`` and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

DEFAULT = ("--stream", "everyday", "--backbone", "vit", "--method", "comm", "stream.classes_per_task=8")


def learned(processes: int, command: list[str], out: Path) -> float:
    """Seconds that a run by so many processes took to learn."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    subprocess.run([*launcher, "-m", "remodal", "run", *command, "--out", str(out)], env=environment, check=True)
    seconds: float = json.loads((out / "results.json").read_text())["cost"]["seconds"]["learn"]
    return seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="1,2", help="numbers of processes; the first is what others are held to")
    parser.add_argument("command", nargs="*", help="arguments of remodal run", default=DEFAULT)
    asked = parser.parse_args()
    table = Table("processes", "seconds of learning", "times as fast")
    with TemporaryDirectory() as folder:
        counts = [int(count) for count in asked.processes.split(",")]
        learned(max(counts), list(asked.command), Path(folder) / "features")
        seconds = {count: learned(count, list(asked.command), Path(folder) / str(count)) for count in counts}
    for count, took in seconds.items():
        table.add_row(str(count), f"{took:.1f}", f"{seconds[counts[0]] / took:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
