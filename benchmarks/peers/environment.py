"""The peers' own virtual environment, made once from ``requirements.txt``."""

from __future__ import annotations

import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
READY = "ready.txt"


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``, which is made where there is none of these requirements."""
    python, ready = folder / "bin" / "python", folder / READY
    wanted = sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        print(f"making the peers' environment in {folder}: some minutes", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)]
        if subprocess.run(install, check=False).returncode:
            raise SystemExit(f"{REQUIREMENTS}: pip could not install it in {folder}")
        ready.write_text(wanted, encoding="utf-8")
    return python
