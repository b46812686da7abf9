"""Work on several machines, by Ray: the stem pass, learning a task, the runs of a table, answers about many files.

Nothing here is imported unless a cluster is asked for (``--engine ray``), and everything gives what it gives without.
Members of a cluster trust each other: Ray sends objects by pickle.
"""

from __future__ import annotations

from remodal.cluster.session import Cluster, connected

__all__ = ["Cluster", "connected"]
