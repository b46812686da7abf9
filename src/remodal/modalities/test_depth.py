"""What a depth file becomes, what its unit is, and which depth files are refused."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from remodal.errors import BadItem, UnknownName
from remodal.modalities import depth as module
from remodal.modalities.depth import Depth

depth = Depth()


def tiff(*pages: NDArray[Any], compression: str = "tiff_deflate") -> bytes:
    file = BytesIO()
    first, *rest = [Pillow.fromarray(page) for page in pages]
    first.save(file, "TIFF", save_all=True, append_images=rest, compression=compression)
    return file.getvalue()


def png(page: NDArray[Any]) -> bytes:
    file = BytesIO()
    Pillow.fromarray(page).save(file, "PNG")
    return file.getvalue()


def page(millimetres: int = 1500) -> NDArray[np.uint16]:
    return np.full((6, 8), millimetres, np.uint16)


def test_16_bit_integers_are_millimetres() -> None:
    decoded = depth.decode(png(page(1500)), where="a.png")
    assert decoded.shape == (1, 6, 8)
    assert decoded.dtype == np.float32
    assert np.allclose(decoded, 1.5)


@pytest.mark.parametrize(("unit", "metres"), [("mm", 0.2), ("cm", 2.0), ("m", 200.0)])
def test_a_stated_unit_decides(unit: str, metres: float) -> None:
    for data in (png(page(200)), png(page(200).astype(np.uint8)), tiff(page(200).astype(np.float32))):
        assert np.allclose(depth.decode(data, where="a", unit=unit), metres)


@pytest.mark.parametrize("compression", ["raw", "tiff_deflate", "tiff_lzw"])
def test_pages_stay_in_order(compression: str) -> None:
    data = tiff(*(page(1000 * k) for k in (1, 3, 2)), compression=compression)
    assert np.allclose(depth.decode(data, where="a.tif")[:, 0, 0], [1, 3, 2])


def test_of_a_long_sequence_eight_pages_are_kept() -> None:
    data = tiff(*(page(1000 + k) for k in range(15)))
    assert np.allclose(depth.decode(data, where="a.tif")[:, 0, 0], 1 + np.arange(0, 15, 2) / 1000)


@pytest.mark.parametrize(("dtype", "kind"), [(np.uint8, "8-bit"), (np.float32, "float")])
def test_8_bit_and_float_depth_need_a_unit(dtype: type, kind: str) -> None:
    with pytest.raises(BadItem, match=f"found {kind} depth without a unit; valid units: mm, cm, m"):
        depth.decode(tiff(page(200).astype(dtype)), where="a.tif")


def test_the_turned_bits_of_sun_rgbd_are_turned_back() -> None:
    # 1 mm, 2,000 mm and 5,001 mm as the data set stores them: times eight
    stored = np.array([[8, 16_000], [40_008, 0]], np.uint16)
    assert np.allclose(depth.decode(png(stored), where="a.png", unit="sunrgbd"), [[[0.001, 2.0], [5.001, 0.0]]])
    turned = np.array([[1, 8]], np.uint16)  # the lowest bit is the fourth highest of 16: 8,192 mm, which counts as 8 m
    assert np.allclose(depth.decode(png(turned), where="a.png", unit="sunrgbd"), [[[8.0, 0.001]]])


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint8, "L"), (np.float32, "F")])
def test_sun_rgbd_has_16_bits(dtype: type, mode: str) -> None:
    with pytest.raises(BadItem, match=f"found {mode} pixels of the unit sunrgbd; valid: one channel of 16 bits"):
        depth.decode(tiff(page(200).astype(dtype)), where="a.tif", unit="sunrgbd")


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown unit 'mmm'; did you mean 'mm'"):
        depth.decode(png(page()), where="a.png", unit="mmm")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_refused(value: float) -> None:
    broken = np.ones((4, 4), np.float32)
    broken[2, 2] = value
    with pytest.raises(BadItem, match="found NaN or infinite depth; valid: finite values, 0 for no reading"):
        depth.decode(tiff(broken), where="a.tif", unit="m")


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_negative_depth_and_no_reading_at_all_are_refused(value: float) -> None:
    with pytest.raises(BadItem, match="found negative depth or no reading at all"):
        depth.decode(tiff(np.full((4, 4), value, np.float32)), where="a.tif", unit="m")


def test_colour_is_refused() -> None:
    with pytest.raises(BadItem, match=r"found colour or palette pixels \(RGB\); valid: one channel"):
        depth.decode(png(np.zeros((4, 4, 3), np.uint8)), where="a.png", unit="m")


def test_pages_of_two_sizes_are_refused() -> None:
    with pytest.raises(BadItem, match="found pages of different sizes"):
        depth.decode(tiff(page(), page()[:3]), where="a.tif")


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DEPTH_PAGES", 2)
    with pytest.raises(BadItem, match="found more than 2 pages"):
        depth.decode(tiff(page(), page(), page()), where="a.tif")


def test_a_page_of_too_many_pixels_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 40)
    with pytest.raises(BadItem, match="found 8 x 6 pixels; valid: at most 40 in all"):
        depth.decode(png(page()), where="a.png")


def test_near_is_bright_and_no_reading_is_black() -> None:
    metres = np.array([[[1.0, 2.0], [3.0, 0.0]]], np.float32)
    near, middle, far, nothing = depth.pictures(metres, 2)[..., [0, 2]].reshape(4, 2).astype(int)
    assert (near > middle).all()
    assert (middle > far).all()
    assert (far >= module.DARKEST).all()
    assert (nothing == 0).all()


def test_the_second_channel_tells_to_which_side_a_surface_turns() -> None:
    slope = np.tile(np.linspace(1, 2, 16, dtype=np.float32), (1, 16, 1))
    away, flat, towards = (
        depth.pictures(map_, 16)[0, 4:12, 4:12, 1] for map_ in (slope, slope * 0 + 1, slope[..., ::-1])
    )
    assert (towards < flat).all()
    assert (flat < away).all()
    assert np.unique(flat).tolist() == [(255 + module.DARKEST) // 2]


def test_twice_as_far_is_the_same_shape_at_another_distance() -> None:
    metres = np.random.default_rng(0).uniform(1, 2, (3, 20, 20)).astype(np.float32)
    drawn, farther = depth.pictures(metres, 16).astype(int), depth.pictures(2 * metres, 16).astype(int)
    assert np.abs(drawn[..., :2] - farther[..., :2]).max() <= 1
    assert (drawn[..., 2] - farther[..., 2] > 20).all()


def test_a_reading_is_never_mixed_with_no_reading() -> None:
    metres = np.zeros((1, 90, 90), np.float32)
    metres[:, 20:70, 33:57] = 2.0
    drawn = depth.pictures(metres, 32)
    assert {tuple(pixel) for pixel in drawn.reshape(-1, 3).tolist()} == {
        (0, 0, 0),
        tuple(depth.pictures(np.full((1, 9, 9), 2.0, np.float32), 1).ravel().tolist()),
    }


@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 40))
def test_reversing_a_sequence_reverses_its_pictures(pages: int, height: int, width: int) -> None:
    metres = np.random.default_rng(0).uniform(0.5, 4, (pages, height, width)).astype(np.float32)
    drawn = depth.pictures(metres, 16)
    assert drawn.shape == (pages, 16, 16, 3)
    assert np.array_equal(depth.pictures(metres[::-1], 16), drawn[::-1])


@pytest.mark.parametrize("unit", [None, "cm"])
def test_65535_alone_above_all_readings_is_no_reading(unit: str | None) -> None:
    measured = page(1500)
    measured[0], measured[1] = 65_535, 0
    decoded = depth.decode(png(measured), where="a.png", unit=unit)
    assert (decoded[0, :2] == 0).all()
    assert np.allclose(decoded[0, 2:], 1.5 if unit is None else 15)


def test_65535_among_readings_as_large_is_a_reading() -> None:
    far = np.linspace(1, 65_535, 48).round().astype(np.uint16).reshape(6, 8)
    assert depth.decode(png(far), where="a.png").max() == pytest.approx(65.535)


def test_65535_all_over_is_refused() -> None:
    with pytest.raises(BadItem, match="found negative depth or no reading at all .65535 is none.*; valid: "):
        depth.decode(png(page(65_535)), where="a.png")


def test_a_big_tiff_is_read() -> None:
    file = BytesIO()
    Pillow.fromarray(page(1500)).save(file, "TIFF", big_tiff=True)
    assert np.allclose(depth.decode(file.getvalue(), where="a.tif"), 1.5)
