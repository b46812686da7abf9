"""A saved model behind HTTP and on a page: it answers, searches, is taught, and goes back a version.

What a client sends is decoded in processes of their own, answered in small batches by one thread, and learned from in
another process; a crash of any of these costs what it was doing, never the server or the model.
"""

from __future__ import annotations
