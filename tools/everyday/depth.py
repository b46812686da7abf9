"""Depth: things and people of a 3-D furniture catalogue, ray-cast; the models of the test are never in train."""

from __future__ import annotations

import io
import logging
import math
import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from item import Item, encode_png, seeded, split_order, stable_order
from trimesh.ray.ray_pyembree import RayMeshIntersector

VERSION = "1.8-1"
SIDE = 96  # pixels
FIELD_OF_VIEW = 50.0  # degrees
TRAIN_VIEWS, TEST_VIEWS = 80, 24  # a class, shared among its models
AT_MOST = 40  # models a class
TEST_SHARE = 0.25
LEAST_COVER = 0.02  # of the frame
NEAR_DUPLICATE = 0.99  # cosine of coarse views

# label: names allowed (the whole name, lower case), names refused (anywhere in it)
NAMES = {
    "chair": (r".*\bchair( with cushion)?|class seat", r"arm|wheel|relax|baby high|deck|beach|bar chair"),
    "table": (
        r".*\btable( with tablecloth| on trestles)?",
        r"tennis|pool|football|bedside|dressing|changing|desk",
    ),
    "sofa": (r".*\b(sofa|couch)( .*)?", r"^$"),
    "bed": (r".*\bbed", r"sleeping|baby bed"),
    "lamp": (r".*\b(lamp|lamppost|chandelier)( artwork)?|street light|park light", r"track|fluorescent"),
    "cabinet": (r".*\bcabinet", r"sink"),
    "plant": (
        r".*\bplant|bamboo|ficus|yucca|cactus|spathiphyllum|orchids|tulips|flowers|white lily|bonsai tree",
        r"^$",
    ),
    "tree": (
        r"acacia|cypress|poplar|.*pine( under snow)?|.*(palm|coconut|christmas) tree|.*maple|copper beech"
        r"|peach blossom",
        r"^$",
    ),
    "door": (r".*\bdoor|double door with panes", r"elevator|shower|garage"),
    "window": (r".*\bwindow( .*)?", r"blind|shutter"),
    "car": (
        r"chevrolet|concept sedan.*|ford focus|peugeot 308 cc|renault scenic|suv|seat leon|smart car"
        r"|vw new beetle|car model",
        r"^$",
    ),
    "bottle": (r".*\bbottle|flacon", r"^$"),
    "cup": (r".*\b(cup|mug)", r"cake"),
    "person": (r".*\b(boy|girl|female|male)", r"^$"),
}
LICENCES = {
    "Public domain": "CC0-1.0",
    "Creative Commons Attribution 3.0 license": "CC-BY-3.0",
    "Creative Commons Attribution 3.0 Unported license": "CC-BY-3.0",
    "Creative Commons Attribution 3.0 United States license": "CC-BY-3.0-US",
}


@dataclass(frozen=True)
class Model:
    """An entry of the furniture catalogue."""

    archive: Path
    entry: dict[str, str]  # its properties

    @property
    def id(self) -> str:
        return self.entry["id"].replace("#", ":")

    @property
    def size(self) -> np.ndarray:
        """Width, height, depth in metres: x, y (up), z."""
        return np.array([float(self.entry[side]) / 100 for side in ("width", "height", "depth")])


def read_catalogue(path: Path) -> list[Model]:
    """The models of one ``.sh3f`` file, a zip archive with a Java properties file in it."""
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("PluginFurnitureCatalog.properties").decode("latin-1").splitlines()
    entries: defaultdict[int, dict[str, str]] = defaultdict(dict)
    whole = {}
    for line in lines:
        if "=" not in line or line.startswith("#"):
            continue
        key, value = (part.strip() for part in line.split("=", 1))
        name, _, number = key.partition("#")
        if number:
            entries[int(number)][name] = value
        else:
            whole[name] = value
    return [Model(path, {"license": whole["license"], **entries[number]}) for number in sorted(entries)]


def label_of(model: Model) -> str | None:
    name = model.entry["name"].lower()
    for label, (allowed, refused) in NAMES.items():
        if re.fullmatch(allowed, name) and not re.search(refused, name):
            return label
    return None


def load_mesh(model: Model) -> trimesh.Trimesh:
    """The mesh at the catalogue's size, in metres, centred."""
    with zipfile.ZipFile(model.archive) as archive:
        file = io.BytesIO(archive.read(model.entry["model"].lstrip("/")))
    mesh = trimesh.load(file, file_type="obj", force="mesh", process=False, skip_materials=True)
    vertices = np.asarray(mesh.vertices, float)
    if "modelRotation" in model.entry:
        vertices = vertices @ np.array(model.entry["modelRotation"].split(), float).reshape(3, 3).T
    used = vertices[np.unique(mesh.faces)]  # some files hold stray vertices far away
    low, high = used.min(0), used.max(0)
    vertices = (vertices - (low + high) / 2) * (model.size / np.maximum(high - low, 1e-9))
    return trimesh.Trimesh(vertices, mesh.faces, process=False)


FOCAL = 1 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
_AXIS = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
_RIGHT, _UP = np.meshgrid(_AXIS, -_AXIS)
# The camera looks along +z and rays have z = 1, so the length along a ray is the depth along the optical axis.
RAYS = np.stack([_RIGHT / FOCAL, _UP / FOCAL, np.ones_like(_RIGHT)], -1).reshape(-1, 3)


def view(scene: RayMeshIntersector, azimuth: float, elevation: float, distance: float) -> np.ndarray:
    """Depth ``[SIDE, SIDE]`` in metres, 0 where no surface is hit; angles in radians.

    ``distance`` is relative: at 1 the mesh just fits the frame.
    """
    mesh = scene.mesh
    forward = -np.array(
        [
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            math.cos(azimuth) * math.cos(elevation),
        ]
    )
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    camera = np.stack([right, np.cross(right, forward), forward])
    points = mesh.vertices[np.unique(mesh.faces)] @ camera.T
    fits = (np.abs(points[:, :2]).max(1) * FOCAL / 0.95 - points[:, 2]).max()
    origin = -forward * max(fits, points[:, 2].max() + 0.02) * distance
    directions = RAYS @ camera
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits, rays, _ = scene.intersects_location(
        np.broadcast_to(origin, directions.shape), directions, multiple_hits=False
    )
    depth = np.zeros(SIDE * SIDE)
    depth[rays] = (hits - origin) @ forward
    return depth.reshape(SIDE, SIDE)


def shape(mesh: trimesh.Trimesh) -> np.ndarray:
    """A signature that doesn't depend on size: three coarse views, normalised."""
    sides = []
    unit = trimesh.Trimesh(mesh.vertices / np.ptp(mesh.vertices, axis=0).max(), mesh.faces, process=False)
    scene = RayMeshIntersector(unit)
    for azimuth in (0.0, 0.8, 1.6):
        coarse = view(scene, azimuth, 0.35, 1.0).reshape(24, 4, 24, 4).mean((1, 3))
        sides.append((coarse - coarse.mean()).ravel())
    signature = np.concatenate(sides)
    return np.asarray(signature / np.linalg.norm(signature))


def distinct(models: list[Model]) -> list[tuple[Model, trimesh.Trimesh]]:
    """The models in a stable order, without those whose shape nearly equals an earlier one's."""
    kept: list[tuple[Model, trimesh.Trimesh]] = []
    shapes: list[np.ndarray] = []
    for model in sorted(models, key=lambda model: stable_order(model.id)):
        if len(kept) == AT_MOST:
            break
        mesh = load_mesh(model)
        signature = shape(mesh)
        if all(signature @ other < NEAR_DUPLICATE for other in shapes):
            kept.append((model, mesh))
            shapes.append(signature)
    return kept


def azimuth_of(label: str, number: int, count: int, random: np.random.Generator) -> float:
    """Views go round the model; doors and windows are seen from the front or the back, edge-on they are a line."""
    if label in ("door", "window"):
        return float(random.uniform(-1.1, 1.1)) + number % 2 * math.pi
    return 2 * math.pi * (number + float(random.uniform())) / count


def build(sources: Path) -> list[Item]:
    """All depth items. A group is a 3-D model."""
    logging.getLogger("trimesh").setLevel(logging.ERROR)
    models: defaultdict[str, list[Model]] = defaultdict(list)
    for path in sorted((sources / "sweethome3d-furniture/usr/share/sweethome3d/furniture").glob("*.sh3f")):
        for model in read_catalogue(path):
            if label := label_of(model):
                models[label].append(model)

    items = []
    for label in NAMES:
        kept = sorted(distinct(models[label]), key=lambda pair: split_order(pair[0].id))
        tests = max(2, round(TEST_SHARE * len(kept)))
        for place, (model, mesh) in enumerate(kept):
            scene = RayMeshIntersector(mesh)
            split, wanted = (
                ("test", TEST_VIEWS / tests) if place < tests else ("train", TRAIN_VIEWS / (len(kept) - tests))
            )
            views = max(2, math.ceil(wanted))
            licence = LICENCES[re.split(r"\s+(?:Copyright|©)", model.entry["license"])[0].strip()]
            for number in range(views):
                name = f"depth/{label}/{model.id}:{number:02d}"
                random = seeded(name)
                depth = view(
                    scene,
                    azimuth_of(label, number, views, random),
                    math.radians(random.uniform(5, 35)),
                    random.uniform(1.0, 1.2),
                )
                if (depth > 0).mean() < LEAST_COVER:
                    continue
                items.append(
                    Item(
                        id=name,
                        label=label,
                        split=split,
                        group=model.id,
                        media=encode_png(np.round(depth * 1000).astype(np.uint16)),
                        format="png",
                        licence=licence,
                        attribution=f"{model.entry['name']} by {model.entry['creator']}, "
                        f"Sweet Home 3D furniture library {model.archive.stem}",
                    )
                )
    return items
