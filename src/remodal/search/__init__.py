"""Search over stored media of any modality, by words or by another medium, in the shared text space."""

from __future__ import annotations

from remodal.errors import installed_with

with installed_with("search"):
    from remodal.search.chance import Chance, Query
    from remodal.search.index import Index
    from remodal.search.keeping import Kept, forget, keep_up, rebuild, refresh
    from remodal.search.rows import Hit, Stored

__all__ = ["Chance", "Hit", "Index", "Kept", "Query", "Stored", "forget", "keep_up", "rebuild", "refresh"]
