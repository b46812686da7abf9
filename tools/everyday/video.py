"""Video: motion-capture clips played by a jointed body, rendered in software; the test sees it from other sides."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
from item import Item, encode_mp4, seeded
from PIL import Image

VERSION = "3.2.7"
SIDE = 112  # pixels
DRAWN = 160  # pixels of the frame that is drawn, before it is cropped to the body
FRAMES, RATE = 16, 12  # frames a clip, frames a second
TRAIN_CLIPS, TEST_CLIPS = 45, 15  # a class
FIELD_OF_VIEW = 45.0  # degrees
LARGEST_PART = 0.25  # metres from its centre to its end
TRAIN_AZIMUTHS, TEST_AZIMUTHS = (0.0, 270.0), (280.0, 350.0)  # degrees; the gaps keep the two apart
LIVELY = 0.5  # a window's motion lies above this quantile of its recording's windows

# label: recordings
ACTIONS = {
    "walk": ["walk"],
    "run": ["run"],
    "jump": ["jump"],
    "kick": ["kick", "spinkick"],
    "punch": ["punch"],
    "cartwheel": ["cartwheel"],
    "backflip": ["backflip"],
    "roll": ["roll"],
    "crawl": ["crawl"],
    "spin": ["spin"],
    "dance": ["dance_a", "dance_b"],
    "get up": ["getup_facedown", "getup_faceup"],
}
# joint of the body: first column in a frame of a recording (44 numbers: duration, root position, then rotations)
ROOT_ROTATION = 4
BALL_JOINTS = {1: 8, 2: 12, 3: 16, 5: 21, 6: 25, 9: 30, 11: 35, 12: 39}  # a quaternion, w first
HINGE_JOINTS = {4: 20, 7: 29, 10: 34, 13: 43}  # an angle: knees and elbows
ROTATIONS = [ROOT_ROTATION, *BALL_JOINTS.values()]


class Recording:
    """A motion-capture recording that can be read at any time."""

    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text())
        self.repeats: bool = data["Loop"] == "wrap"
        self.frames = np.array(data["Frames"])
        self.times = np.concatenate([[0.0], np.cumsum(self.frames[:-1, 0])])
        self.duration = float(self.times[-1])
        self.step = self.frames[-1, 1:4] - self.frames[0, 1:4]  # a repeated walk goes on from where it came
        self.step[1] = 0

    def at(self, time: float) -> np.ndarray:
        """The interpolated frame ``[44]``."""
        cycle = math.floor(time / self.duration) if self.repeats else 0
        time = min(max(time - cycle * self.duration, 0.0), self.duration)
        place = min(int(np.searchsorted(self.times, time, "right")) - 1, len(self.times) - 2)
        before, after = self.frames[place].copy(), self.frames[place + 1].copy()
        share = (time - self.times[place]) / (self.times[place + 1] - self.times[place])
        for column in ROTATIONS:  # q and -q are the same rotation: take the shorter way
            if before[column : column + 4] @ after[column : column + 4] < 0:
                after[column : column + 4] *= -1
        frame = (1 - share) * before + share * after
        for column in ROTATIONS:
            frame[column : column + 4] /= np.linalg.norm(frame[column : column + 4])
        frame[1:4] += cycle * self.step
        return np.asarray(frame)

    def window(self, start: float, spacing: float) -> np.ndarray:
        """``[FRAMES, 44]``"""
        return np.stack([self.at(start + number * spacing) for number in range(FRAMES)])

    def lively_window(self, random: np.random.Generator) -> np.ndarray:
        """A window at a random place and speed, out of those in which the body moves most.

        A place chosen blindly may show only the standing before a kick.
        """
        spacing = random.uniform(0.85, 1.15) / RATE
        span = spacing * (FRAMES - 1)
        if not self.repeats and span > self.duration:
            spacing, span = self.duration / (FRAMES - 1), self.duration
        last = self.duration if self.repeats else self.duration - span
        starts = np.linspace(0, last, 40)
        motion = np.array([np.abs(np.diff(self.window(start, spacing)[:, 2:], axis=0)).sum() for start in starts])
        lively = starts[motion >= np.quantile(motion, LIVELY)]
        return self.window(float(random.choice(lively)), spacing)


@dataclass(frozen=True)
class Body:
    """The jointed body in the physics engine; y is up."""

    id: int

    def pose(self, frame: np.ndarray) -> None:
        def rotation(column: int) -> list[float]:  # recordings put w first, the engine puts it last
            return [*frame[column + 1 : column + 4], frame[column]]

        pybullet.resetBasePositionAndOrientation(self.id, frame[1:4], rotation(ROOT_ROTATION))
        for joint, column in BALL_JOINTS.items():
            pybullet.resetJointStateMultiDof(self.id, joint, rotation(column))
        for joint, column in HINGE_JOINTS.items():
            pybullet.resetJointStateMultiDof(self.id, joint, [frame[column]])

    def positions(self) -> np.ndarray:
        """``[parts, 3]``: the centres of its parts, metres."""
        links = range(pybullet.getNumJoints(self.id))
        states = pybullet.getLinkStates(self.id, list(links), computeForwardKinematics=True)
        return np.array([state[0] for state in states])

    def paint(self, colour: np.ndarray, random: np.random.Generator) -> None:
        """Gives each part a shade of the colour, ``[3]`` from 0 to 1."""
        for link in range(-1, pybullet.getNumJoints(self.id)):
            shade = np.clip(colour * random.uniform(0.75, 1.1, 3), 0, 1)
            pybullet.changeVisualShape(self.id, link, rgbaColor=[*shade, 1])


def load_body() -> Body:
    pybullet.connect(pybullet.DIRECT)
    return Body(
        pybullet.loadURDF(
            pybullet_data.getDataPath() + "/humanoid/humanoid.urdf",
            globalScaling=0.25,  # the file's body is four times human size
            useFixedBase=True,
            flags=pybullet.URDF_MAINTAIN_LINK_ORDER,
        )
    )


def colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A colour for the body and a lighter one for the background, ``[3]`` from 0 to 1."""
    body = random.uniform(0.05, 0.6, 3)
    background = random.uniform(body.mean() + 0.35, 1, 3)  # shading darkens the body
    return body, background


def cropped(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The smallest square that holds the body in all frames, with a margin, at ``SIDE`` pixels.

    ``images``: ``[frames, DRAWN, DRAWN, 3]`` uint8; ``inside``: ``[frames, DRAWN, DRAWN]`` bool, where the body is.
    """
    rows, columns = np.flatnonzero(inside.any((0, 2))), np.flatnonzero(inside.any((0, 1)))
    half = max(np.ptp(rows), np.ptp(columns)) / 2 * 1.1 + 1
    row, column = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    # outside the drawn frame there is only background, as in its corners
    wide = np.pad(images, ((0, 0), (DRAWN, DRAWN), (DRAWN, DRAWN), (0, 0)), mode="edge")
    box = np.array([column - half, row - half, column + half, row + half]) + DRAWN
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX, box=tuple(box)))
            for image in wide
        ]
    )


def render(body: Body, window: np.ndarray, azimuth: float, random: np.random.Generator) -> np.ndarray:
    """``[FRAMES, SIDE, SIDE, 3]`` uint8; ``azimuth`` in degrees.

    The camera follows the body sideways only, so a jump stays a jump; the frame is cropped to where the body comes.
    """
    colour, background = colours(random)
    body.paint(colour, random)
    light = random.normal(size=3)
    light[1] = abs(light[1]) + 1
    across, up = math.radians(azimuth), math.radians(random.uniform(0, 25))
    back = np.array([math.cos(across) * math.cos(up), math.sin(up), math.sin(across) * math.cos(up)])
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    camera = np.stack([right, np.cross(back, right), back])

    points = []
    for frame in window:
        body.pose(frame)
        points.append(body.positions() - [frame[1], 0, frame[3]])
    seen = np.concatenate(points) @ camera.T
    middle = np.append((seen.min(0) + seen.max(0))[:2] / 2, 0)
    tangent = math.tan(math.radians(FIELD_OF_VIEW) / 2)
    reach = np.abs(seen[:, :2] - middle[:2]).max(1) + LARGEST_PART
    eye = middle @ camera + back * (reach / tangent + seen[:, 2]).max()

    projection = pybullet.computeProjectionMatrixFOV(FIELD_OF_VIEW, 1, 0.1, 20)
    images = np.empty((FRAMES, DRAWN, DRAWN, 3), np.uint8)
    inside = np.empty((FRAMES, DRAWN, DRAWN), bool)
    for number, frame in enumerate(window):
        body.pose(frame)
        here = eye + np.array([frame[1], 0, frame[3]])
        looks = pybullet.computeViewMatrix(list(here), list(here - back), [0, 1, 0])
        _, _, pixels, _, parts = pybullet.getCameraImage(
            DRAWN, DRAWN, looks, projection, lightDirection=list(light), renderer=pybullet.ER_TINY_RENDERER
        )
        images[number] = np.reshape(pixels, (DRAWN, DRAWN, 4))[..., :3]
        inside[number] = np.reshape(parts, (DRAWN, DRAWN)) >= 0
    if inside[:, [0, -1]].any() or inside[:, :, [0, -1]].any():
        raise RuntimeError("the body leaves the drawn frame: move the camera back")
    images[~inside] = np.round(background * 255).astype(np.uint8)
    return cropped(images, inside)


def build(sources: Path) -> list[Item]:
    """All video items; the recordings come with pybullet, not from ``sources``.

    A group is a recording seen from one quarter of the circle.
    """
    motions = Path(pybullet_data.getDataPath()) / "data/motions"
    body = load_body()
    items = []
    for label, names in ACTIONS.items():
        recordings = [Recording(motions / f"humanoid3d_{name}.txt") for name in names]
        for number in range(TRAIN_CLIPS + TEST_CLIPS):
            split, azimuths = ("train", TRAIN_AZIMUTHS) if number < TRAIN_CLIPS else ("test", TEST_AZIMUTHS)
            name = names[number % len(names)]
            key = f"video/{label}/{name}:{number:02d}"
            random = seeded(key)
            azimuth = random.uniform(*azimuths)
            window = recordings[number % len(names)].lively_window(random)
            quarter = int(azimuth // 90) * 90
            items.append(
                Item(
                    id=key,
                    label=label,
                    split=split,
                    group=f"{name}/{quarter}-{quarter + 90} degrees",
                    media=encode_mp4(render(body, window, azimuth, random), RATE),
                    format="mp4",
                    licence="Zlib",
                    attribution=f"pybullet {VERSION}: humanoid.urdf, humanoid3d_{name}.txt",
                )
            )
    pybullet.disconnect()
    return items
