"""How much may be asked for at a time."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from remodal.errors import RemodalError
from remodal.serve.admission import Admission, Busy, TooMany
from remodal.serve.settings import ServeSettings


def test_small_requests_are_let_in_longest() -> None:
    admission = Admission(places=16, files=8)
    with ExitStack() as waiting:
        waiting.enter_context(admission.admitted(8))
        with pytest.raises(Busy, match="8 media wait already"), admission.admitted(8):
            pass
        for media in (4, 2, 1, 1):
            waiting.enter_context(admission.admitted(media))
        with pytest.raises(Busy), admission.admitted(1):
            pass
    with admission.admitted(8):
        pass


def test_places_are_free_again_after_a_failure() -> None:
    admission = Admission(places=2, files=1)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), admission.admitted(1):
            raise ZeroDivisionError


def test_a_request_has_so_many_files_at_most() -> None:
    with pytest.raises(TooMany, match="found 9 files and texts; valid: at most 8"), Admission(100, 8).admitted(9):
        pass


def test_there_is_room_for_two_requests() -> None:
    with pytest.raises(RemodalError, match="serve.waiting: found 100; valid: twice serve.files or more"):
        ServeSettings.checked({"files": 64, "waiting": 100})
    with pytest.raises(RemodalError, match="serve.waiting"):
        ServeSettings.checked({"files": 1000})
