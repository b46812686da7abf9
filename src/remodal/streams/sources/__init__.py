"""Where data come from that aren't a folder of ours: a file a source.

>>> from remodal.streams.sources import Address, is_address, sources
>>> is_address("hf:beans?image=image&label=labels"), sources.names()
(True, ['classes', 'hf', 'parquet', 'webdataset'])
"""

from remodal.streams.sources import classes, tables, tars
from remodal.streams.sources.address import Address, is_address, sources

__all__ = ["Address", "classes", "is_address", "sources", "tables", "tars"]
