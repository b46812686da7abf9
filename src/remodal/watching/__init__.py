"""What arrives is learned as it arrives, from a folder or from a server's clients, with a log of what was learned when.

Nobody has to know the classes beforehand: the first item of a class makes it known.

>>> from remodal.watching.sides import is_held_out
>>> [is_held_out(number, held_out=0) for number in range(5)]
[False, False, False, True, False]
"""

from __future__ import annotations

from remodal.watching.arrivals import Arrivals
from remodal.watching.log import LOG, Arrival, Entry, SetAside, entries
from remodal.watching.watch import watch

__all__ = ["LOG", "Arrival", "Arrivals", "Entry", "SetAside", "entries", "watch"]
