"""The command line of benchmarks that learn a stream a few times."""

from __future__ import annotations

import argparse


class Asked(argparse.Namespace):
    """stream: names or folders. seeds: one repetition each."""

    stream: list[str]
    seeds: list[int]


def asked(description: str | None) -> Asked:
    """``--stream`` and ``--seeds``; ``description`` is what ``--help`` says first."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", nargs="+", default=["everyday"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    return parser.parse_args(namespace=Asked())
