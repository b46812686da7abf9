"""Audio: one-second notes of a sound font's sampled instruments; train has no pitch or velocity of the test."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from item import Item, encode_flac, seeded, stable_order
from tinysoundfont import Synth

VERSION = "3.1-5.3"
RATE = 16_000  # Hz
TRAIN_NOTES, TEST_NOTES = 44, 14  # a class
TRAIN_VELOCITIES = (40, 46, 58, 64, 84, 92, 108, 126)
TEST_VELOCITIES = (52, 74, 100, 117)
PEAK = 0.2  # of full scale: the font's own levels differ fourfold between instruments; quieter files are smaller

# label: General MIDI programs (counted from 0), lowest key, highest key
INSTRUMENTS: dict[str, tuple[tuple[int, ...], int, int]] = {
    "piano": ((0, 1), 36, 84),
    "guitar": ((24, 25), 40, 76),
    "electric guitar": ((26, 27, 29), 40, 78),
    "bass guitar": ((33, 34), 28, 52),
    "violin": ((40,), 55, 91),
    "cello": ((42,), 36, 69),
    "harp": ((46,), 36, 86),
    "trumpet": ((56,), 54, 82),
    "trombone": ((57,), 40, 70),
    "saxophone": ((64, 65, 66), 50, 80),
    "clarinet": ((71,), 50, 86),
    "flute": ((73,), 60, 93),
    "accordion": ((21,), 53, 84),
    "organ": ((16, 19), 36, 84),
    "harmonica": ((22,), 60, 88),
    "banjo": ((105,), 48, 79),
}


def is_test(key: int) -> bool:
    """Every fourth semitone is kept for the test."""
    return key % 4 == 1


def note(synth: Synth, font: int, program: int, key: int, velocity: int, held: float) -> np.ndarray:
    """One second, mono, ``[RATE]`` float32: the note held for ``held`` seconds, then released."""
    synth.program_select(0, font, 0, program)
    synth.noteon(0, key, velocity)
    attack = np.frombuffer(synth.generate(round(held * RATE)), np.float32).copy()
    synth.noteoff(0, key)
    release = np.frombuffer(synth.generate(RATE - round(held * RATE)), np.float32).copy()
    synth.sounds_off(0)
    synth.generate(RATE // 8)  # let the tail die away, or it would be heard in the next note
    both = np.concatenate([attack, release]).reshape(-1, 2)
    return np.asarray(both.mean(1))


def build(sources: Path) -> list[Item]:
    """All audio items. A group is a pitch of a class."""
    synth = Synth(gain=-6, samplerate=RATE)
    font = synth.sfload(str(sources / "fluid-soundfont-gm/usr/share/sounds/sf2/FluidR3_GM.sf2"))
    items = []
    for label, (programs, lowest, highest) in INSTRUMENTS.items():
        keys = range(lowest, highest + 1)
        for split, count, velocities in (
            ("train", TRAIN_NOTES, TRAIN_VELOCITIES),
            ("test", TEST_NOTES, TEST_VELOCITIES),
        ):
            pairs = itertools.product([key for key in keys if is_test(key) == (split == "test")], velocities)
            chosen = sorted(pairs, key=lambda pair: stable_order(f"{label}/{pair}"))[:count]
            for number, (key, velocity) in enumerate(chosen):
                program = programs[number % len(programs)]
                name = f"audio/{label}/{program}-{key}-{velocity}"
                samples = note(synth, font, program, key, velocity, seeded(name).uniform(0.7, 0.95))
                peak = float(np.abs(samples).max())
                if peak < 0.003:
                    raise RuntimeError(f"{name} is silent: peak {peak:.4f}; the font has no sample for it")
                items.append(
                    Item(
                        id=name,
                        label=label,
                        split=split,
                        group=f"{label}/key {key}",
                        media=encode_flac(np.round(samples * (PEAK / peak * 32767)).astype(np.int16), RATE),
                        format="flac",
                        licence="MIT",
                        attribution=f"FluidR3 GM by Frank Wen: {synth.sfpreset_name(font, 0, program)}",
                    )
                )
    return items
