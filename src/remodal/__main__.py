"""``python -m remodal`` is the command ``remodal``."""

from remodal.cli import main

if __name__ == "__main__":
    main()
