"""Addresses: what is read of them, and what is said of those that can't be."""

from __future__ import annotations

import pytest

from remodal.errors import RemodalError
from remodal.streams import stream
from remodal.streams.sources import Address


def test_a_question_mark_in_a_pattern_is_no_beginning_of_options() -> None:
    address = Address.parsed("webdataset:shard-?.tar?image=jpg&label=cls")
    assert (address.where, address.options) == ("shard-?.tar", {"image": "jpg", "label": "cls"})
    assert Address.parsed("webdataset:shard-?.tar").where == "shard-?.tar"


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("hf:owner/beans?image=image&label=labels", "beans"),
        ("parquet:/data/birds-*.parquet?image=i&label=l", "birds"),
        ("webdataset:shard-?.tar?image=jpg&label=cls", "shard"),
        ("webdataset:*.tar?image=jpg&label=cls", "webdataset"),
    ],
)
def test_its_name_can_be_a_folder_of_runs(where: str, name: str) -> None:
    assert Address.parsed(where).name == name


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("hf:?image=a&label=b", r"found no place after hf: ; valid: hf:<path or name>\?<options>"),
        ("hf:beans?image=a&image=b", "found option 'image' twice; valid: each once"),
        ("hf:beans?lable=a", "hf:beans: unknown setting 'lable'; did you mean 'label'"),
        ("hf:beans?image=a", "hf:beans: setting label: found none; it has to be stated"),
        ("classes:birds?modality=imge", "unknown modality 'imge'; did you mean 'image'"),
        ("hff:beans", "unknown stream 'hff:beans'; .* or an address: classes:..., hf:..., parquet:..., webdataset:..."),
    ],
)
def test_one_that_cannot_be_read_says_what_is_valid(where: str, said: str) -> None:
    with pytest.raises(RemodalError, match=said):
        stream(where)
