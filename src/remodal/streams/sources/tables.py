"""Tables whose rows hold encoded media and their labels, opened by Hugging Face's ``datasets``.

    hf:NAME_OR_PATH?image=COLUMN&label=COLUMN      a data set of the hub, one that save_to_disk wrote, or a folder
    parquet:FILES?image=COLUMN&label=COLUMN        Parquet files: a path, a pattern or a URL

Media stay encoded: ``datasets`` decodes nothing, our own decoders do. It keeps a copy of what it opens in its own cache
(``HF_DATASETS_CACHE``), from which rows are read in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from remodal.errors import BadItem, RemodalError, in_one_line, installed_with
from remodal.modalities.base import check_size
from remodal.streams.base import Item
from remodal.streams.listing import Listing
from remodal.streams.sources.address import Address, checked, sources
from remodal.streams.sources.records import ColumnOptions, Facts, FileOptions, Part, listed_records
from remodal.streams.sources.splits import sides

if TYPE_CHECKING:
    from datasets import Dataset


class HubOptions(ColumnOptions):
    """Of a data set with a name."""

    config: str | None = Field(None, description="one of its configurations")
    revision: str | None = Field(None, description="branch, tag or commit")
    train: str | None = Field(None, description="split to learn from, where it isn't called train")
    test: str | None = Field(None, description="split to measure on, where it isn't called test or validation")


@sources.add("hf")
def list_hub(address: Address, depth_unit: str | None, undivided: int) -> Listing:
    """Rows of a data set of the hub, of one that ``save_to_disk`` wrote, or of a folder of tables."""
    options, library = checked(address, HubOptions), opened_library()
    where = Path(address.where).expanduser()
    with in_one_line(f"{address}: can't be read"):
        if any((where / name).is_file() for name in ("state.json", "dataset_dict.json")):
            opened = library.load_from_disk(str(where))
        else:
            path = str(where) if where.exists() else address.where
            opened = library.load_dataset(path, options.config, revision=options.revision)
    tables = opened if isinstance(opened, dict) else {"train": opened}
    try:
        stated = sides(tables, options.train, options.test)
    except RemodalError as error:
        raise RemodalError(f"{address}: {error}") from None
    parts = [Part(name, Table(tables[name]), side) for name, side in stated.items()]
    return listed_records(address, parts, options, depth_unit, undivided)


@sources.add("parquet")
def list_parquet(address: Address, depth_unit: str | None, undivided: int) -> Listing:
    """Rows of Parquet files."""
    options, library = checked(address, FileOptions), opened_library()
    files = options.by_side(address)
    with in_one_line(f"{address}: can't be read"):
        opened = library.load_dataset("parquet", data_files=files)
    parts = [Part(side, Table(opened[side]), side) for side in files]
    return listed_records(address, parts, options, depth_unit, undivided)


def opened_library() -> Any:
    """``datasets``, without its bars, and without the request by which it counts what is opened, local files too."""
    with installed_with("datasets"):
        import datasets
    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    return datasets


@dataclass(frozen=True)
class RowItem(Item):
    """One medium of a row. table: the column with the media, and nothing else."""

    table: Dataset = field(compare=False, repr=False)
    row: int
    unit: str | None = None

    def read(self) -> bytes:
        """The medium. Raises BadItem where it can't be read, is too large, or isn't in the table."""
        try:
            (value,) = self.table[self.row].values()
        except Exception as error:  # whatever the library's parts raise
            raise BadItem(self.id, f"can't be read ({type(error).__name__}: {error})") from error
        if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
            raise BadItem(self.id, "found the path of a file; valid: a file's bytes in the row")
        data = value.get("bytes") if isinstance(value, dict) else value
        data = data.encode() if isinstance(data, str) else data
        if not isinstance(data, bytes):
            raise BadItem(self.id, f"found {type(data).__name__}; valid: bytes of a file, or a sentence")
        check_size(len(data), self.id)
        return data


class Table:
    """Records that are the rows of a table."""

    def __init__(self, table: Dataset) -> None:
        self._table = table
        self._media: dict[str, Dataset] = {}
        self.columns: list[str] = table.column_names

    def values(self, column: str) -> list[Any]:
        """As Python's own objects."""
        return list(self._stored(column).to_pylist())

    def names(self, path: Sequence[str]) -> Sequence[str] | None:
        """Of a column of the kind ``ClassLabel``."""
        feature: Any = self._table.features
        for name in path:
            feature = feature.get(name) if isinstance(feature, dict) else None
        return getattr(feature, "names", None)

    def holding(self, column: str) -> list[bool]:
        """Where the table has no null."""
        return list(self._stored(column).is_valid().to_pylist())

    def item(self, column: str, record: int, facts: Facts) -> RowItem:
        """A row's medium."""
        unit = facts.unit
        return RowItem(*facts[:-1], licence="", table=self._encoded(column), row=record, unit=unit)

    def _stored(self, column: str) -> Any:
        """As Arrow has it, without a copy."""
        return self._table.select_columns([column]).with_format("arrow")[:][column]

    def _encoded(self, column: str) -> Dataset:
        """The column alone, as it is stored: the library's own decoder left out."""
        if column not in self._media:
            alone = self._table.select_columns([column])
            feature = alone.features[column]
            if getattr(feature, "decode", False):
                alone = alone.cast_column(column, replace(feature, decode=False))
            self._media[column] = alone
        return self._media[column]
