"""A model as a folder: plain tensors and JSON, every version of it, and its card; never a pickle.

``config.json`` says all of a model but its tensors, and names the files that hold these with their hashes; it is
replaced as one file, so a folder holds a whole model at any moment. What was the current version before stays
(``versions/``).
"""

from __future__ import annotations

from remodal.saved.again import Again, Change
from remodal.saved.description import About, Description, Source
from remodal.saved.folder import (
    InUse,
    Saved,
    changing,
    current_description,
    current_version,
    forget,
    history,
    is_free,
    is_model,
    next_version,
    read,
    roll_back,
    tidy,
    versions,
    write,
    write_run,
)
from remodal.saved.held_out import HeldOut
from remodal.saved.hub import push
from remodal.saved.items import Items
from remodal.saved.learned import Learned, about
from remodal.saved.located import changed_into, located, unused
from remodal.saved.marked import Marked
from remodal.saved.trust import fitting, trusted

__all__ = [
    "About", "Again", "Change", "Description", "HeldOut", "InUse", "Items", "Learned", "Marked", "Saved", "Source",
    "about", "changed_into", "changing", "current_description", "current_version", "fitting", "forget", "history",
    "is_free", "is_model", "located", "next_version", "push", "read", "roll_back", "tidy", "trusted", "unused",
    "versions", "write", "write_run",
]  # fmt: skip
