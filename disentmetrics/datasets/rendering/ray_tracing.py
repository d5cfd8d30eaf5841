"""Ray tracing of a solid in a room into material weights: geometry and shading, without colours.

The room has a back wall and two side walls and is open to the sky and towards the camera; the solid
stands on the floor at its centre. x points right, y to the back, z up; one unit is the side of a cube
of scale 1. Solids are signed distance functions, rendered by sphere tracing (Hart 1996, *Sphere
tracing*, The Visual Computer 12).

Weights are computed from sums, differences, products, quotients and square roots of scalars only,
which are the same on every machine; sines and cosines are rounded first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MATERIALS = ("floor", "wall", "solid", "sky", "light")
"""The materials of a pixel, in the order of its weights; sky and light have fixed colours."""

SKY, LIGHT = (155, 225, 250), (255, 255, 255)

_Numbers = NDArray[np.float64]
_FLOOR, _WALL, _SOLID, _SKY, _LIGHT = range(len(MATERIALS))
_SAMPLES = 4  # rays along each side of a pixel
_FULL_WEIGHT = 255
_HALF_WIDTH, _WALL_HEIGHT, _SKIRTING_HEIGHT = 3.0, 2.0, 0.14
_CAMERA_DISTANCE, _TARGET_HEIGHT = 3.3, 0.8
_TAN_HALF_FOV = 0.466  # for a field of view of 50 degrees
_TO_LIGHT = (-4 / 9, -4 / 9, 7 / 9)
_LIGHT_HALF_SIDE = 0.075  # of the square area light, at unit distance
_SHADOW = 0.42  # shading of the floor in the shadow
_BACK_WALL, _LEFT_WALL, _RIGHT_WALL = 0.96, 0.64, 0.8  # shading
_EPSILON = 1e-4  # distance from the surface at which a ray counts as a hit
_MIN_STEP = 4e-3
_MAX_STEPS = 40


@dataclass(frozen=True)
class Solid:
    """A solid that stands on the floor, at scale 1.

    Attributes
    ----------
    name : str
        Name of the shape.
    distance : callable
        Signed distance bound as a function of x, y and z: at most the distance to the surface, negative inside.
    height : float
        Height; the centre of the bounding sphere is at half of it.
    radius : float
        Radius of the bounding sphere.
    period : float
        The smallest rotation about the vertical, in degrees, that maps the solid onto itself; 0 for a solid of
        revolution.
    """

    name: str
    distance: Callable[[_Numbers, _Numbers, _Numbers], _Numbers]
    height: float
    radius: float
    period: float


@dataclass(frozen=True)
class Camera:
    """A camera that looks at the centre of the room, from an azimuth in degrees to the right and from a height."""

    azimuth: float
    height: float = 1.45


def _cube(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z - 0.5)) - 0.5


def _cylinder(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return np.maximum(_norm(x, y) - 0.5, np.abs(z - 0.55) - 0.55)


def _sphere(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return _norm(x, y, z - 0.58) - 0.58


def _capsule(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return _norm(x, y, z - np.clip(z, 0.4, 1.2)) - 0.4


def _cone(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return np.maximum(0.92 * _norm(x, y) + 0.39191835884530846 * (z - 1.4), -z)


def _torus(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return _norm(_norm(x, z - 0.62) - 0.43, y) - 0.19


def _pyramid(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return np.maximum(0.9 * np.maximum(np.abs(x), np.abs(y)) + 0.43588989435406735 * (z - 1.2), -z)


def _octahedron(x: _Numbers, y: _Numbers, z: _Numbers) -> _Numbers:
    return 0.5773502691896258 * (np.abs(x) + np.abs(y) + np.abs(z - 0.75) - 0.75)


SOLIDS = {
    solid.name: solid
    for solid in (
        Solid("cube", _cube, 1.0, 0.87, 90),
        Solid("cylinder", _cylinder, 1.1, 0.75, 0),
        Solid("sphere", _sphere, 1.16, 0.59, 0),
        Solid("capsule", _capsule, 1.6, 0.81, 0),
        Solid("cone", _cone, 1.4, 0.93, 0),
        Solid("torus", _torus, 1.24, 0.63, 180),
        Solid("pyramid", _pyramid, 1.2, 1.03, 90),
        Solid("octahedron", _octahedron, 1.5, 0.76, 90),
    )
}


def trace(solid: Solid, scale: float, rotation: float, camera: Camera, size: int) -> NDArray[np.uint8]:
    """Return the material weights of each pixel.

    Parameters
    ----------
    solid : Solid
        Solid at the centre of the room.
    scale : float
        Scale of the solid.
    rotation : float
        Rotation of the solid about the vertical, counter-clockwise seen from above, in degrees.
    camera : Camera
        Position of the camera.
    size : int
        Height and width of the image in pixels.

    Returns
    -------
    (n_materials, size * size) uint8
        Weight of the full colour of each of the ``MATERIALS`` in a pixel; 255 is full weight, and
        the weights of a pixel sum to at most 255.
    """
    room = _room(camera, size)
    placed = _PlacedSolid(solid, scale, rotation)
    samples = room.weights.copy()
    _cast_shadow(samples, room, placed)
    _draw_solid(samples, room, placed)
    weights = (_FULL_WEIGHT * samples).astype(np.uint16)  # rounded down, so that the sum is at most 255
    summed = weights.reshape(len(MATERIALS), size, _SAMPLES, size, _SAMPLES).sum(axis=(2, 4), dtype=np.uint16)
    return np.asarray(summed // _SAMPLES**2, np.uint8).reshape(len(MATERIALS), -1)


def _norm(first: _Numbers, *others: _Numbers | float) -> _Numbers:
    total = first * first
    for other in others:
        total = total + other * other
    return np.asarray(np.sqrt(total), np.float64)


def _dot(a: _Numbers, b: _Numbers) -> _Numbers:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _unit(vectors: _Numbers) -> _Numbers:
    return vectors / _norm(*vectors)


def _cos_sin(degrees: float) -> tuple[float, float]:
    radians = np.pi / 180 * degrees
    return round(float(np.cos(radians)), 12), round(float(np.sin(radians)), 12)


@dataclass(frozen=True)
class _PlacedSolid:
    """A solid with a scale and a rotation about the vertical, in degrees."""

    solid: Solid
    scale: float
    rotation: float

    def normals(self, points: _Numbers) -> _Numbers:
        """Return the unit normals at points (3, n) of the surface, by forward differences of the distance."""
        x, y, z = self._to_object_space(points) / self.scale
        distance = self.solid.distance(x, y, z)
        differences = (
            self.solid.distance(*shifted) - distance
            for shifted in ((x + _EPSILON, y, z), (x, y + _EPSILON, z), (x, y, z + _EPSILON))
        )
        dx, dy, dz = differences
        cos, sin = _cos_sin(self.rotation)
        return _unit(np.stack([cos * dx - sin * dy, sin * dx + cos * dy, dz]))

    def first_hits(self, origins: _Numbers, directions: _Numbers) -> _Numbers:
        """Return the distance along rays (3, n) to their first hit on the solid, infinity if they miss it."""
        # Only rays that pass through the bounding sphere are marched, from its near to its far side.
        radius = self.scale * self.solid.radius
        from_centre = origins - np.array([0, 0, self.scale * self.solid.height / 2])[:, None]
        closest = -_dot(from_centre, directions)
        squared_half_chord = radius * radius - _dot(from_centre, from_centre) + closest * closest
        half_chord = np.sqrt(np.maximum(squared_half_chord, 0))
        active = np.flatnonzero((squared_half_chord > 0) & (closest + half_chord > 0))
        start = self._to_object_space(np.broadcast_to(origins, directions.shape).take(active, 1)) / self.scale
        direction = self._to_object_space(directions.take(active, 1))
        t, end = (
            np.maximum(closest - half_chord, 0)[active] / self.scale,
            (closest + half_chord)[active] / self.scale,
        )
        hits = np.full(directions.shape[1], np.inf)
        for _ in range(_MAX_STEPS):
            distance = self.solid.distance(*(start + t * direction))
            is_hit = distance < _EPSILON
            hits[active[is_hit]] = self.scale * t[is_hit]
            t = t + np.maximum(distance, _MIN_STEP)
            on = np.flatnonzero(~is_hit & (t < end))
            active, t, end, start, direction = active[on], t[on], end[on], start.take(on, 1), direction.take(on, 1)
        return hits

    def _to_object_space(self, vectors: _Numbers) -> _Numbers:
        """Rotate vectors from world space into the coordinates of the solid."""
        cos, sin = _cos_sin(self.rotation)
        x, y, z = vectors
        return np.stack([cos * x + sin * y, cos * y - sin * x, z])


@dataclass(frozen=True)
class _Room:
    """The empty room, intersected with the camera rays of an image.

    Attributes
    ----------
    origin : (3, 1) float64
        Position of the camera.
    directions : (3, n_rays) float64
        Unit directions of the rays, row by row from the top left.
    weights : (n_materials, n_rays) float64
        Material weights from 0 to 1.
    floor : (n_floor,) int64
        Indices of the rays that hit the floor.
    floor_points : (3, n_floor) float64
        Their points on the floor.
    to_light : (3, n_floor) float64
        Unit directions from there to the light.
    """

    origin: _Numbers
    directions: _Numbers
    weights: _Numbers
    floor: NDArray[np.int64]
    floor_points: _Numbers
    to_light: _Numbers


def _rays(camera: Camera, size: int) -> tuple[_Numbers, _Numbers]:
    cos, sin = _cos_sin(camera.azimuth)
    origin = np.array([_CAMERA_DISTANCE * sin, -_CAMERA_DISTANCE * cos, camera.height])[:, None]
    forward = _unit(np.array([0, 0, _TARGET_HEIGHT])[:, None] - origin)
    right = np.array([cos, sin, 0])[:, None]
    up = np.stack([right[1] * forward[2], -right[0] * forward[2], right[0] * forward[1] - right[1] * forward[0]])
    n = size * _SAMPLES
    image_plane = _TAN_HALF_FOV * ((2 * np.arange(n) + 1) / n - 1)
    x, y = np.tile(image_plane, n), np.repeat(-image_plane, n)
    return origin, _unit(forward + x * right + y * up)


def _corner_occlusion(distance: _Numbers, radius: float) -> _Numbers:
    """Return the ambient occlusion by a wall at some distance, from 1/2 in the corner to 0 far away."""
    return 0.5 - 0.5 * distance / _norm(distance, radius)


def _floor_shading(x: _Numbers, y: _Numbers) -> _Numbers:
    is_light_tile = np.mod(np.floor(x) + np.floor(y), 2) == 0
    wall_distance = np.minimum(_HALF_WIDTH - np.abs(x), _HALF_WIDTH - y)
    shading = np.where(is_light_tile, 1.0, 0.93) * (1 - 0.5 * _corner_occlusion(wall_distance, 0.8))
    return shading * (1 - 0.012 * (x * x + y * y))


def _wall_shading(x: _Numbers, y: _Numbers, z: _Numbers, *, is_back: NDArray[np.bool_]) -> _Numbers:
    shading = np.where(is_back, _BACK_WALL, np.where(x > 0, _RIGHT_WALL, _LEFT_WALL))
    corner_distance = np.where(is_back, _HALF_WIDTH - np.abs(x), _HALF_WIDTH - y)
    return shading * (1 - 0.3 * _corner_occlusion(corner_distance, 0.8)) * (1 - 0.3 * _corner_occlusion(np.abs(z), 0.5))


@lru_cache(maxsize=1)  # consecutive views share a camera
def _room(camera: Camera, size: int) -> _Room:
    origin, directions = _rays(camera, size)
    dx, dy, dz = directions
    side = np.where(dx > 0, _HALF_WIDTH, -_HALF_WIDTH)
    # Distances along the rays to the planes; a small denominator puts parallel ones far away.
    to_side = (side - origin[0]) / np.where(dx == 0, -_EPSILON, dx)
    to_back = (_HALF_WIDTH - origin[1]) / np.maximum(dy, _EPSILON)
    to_wall = np.minimum(to_side, to_back)
    to_floor = origin[2] / np.maximum(-dz, _EPSILON)
    x, y, z = origin + np.minimum(to_wall, to_floor) * directions
    on_floor = to_floor < to_wall
    on_wall = ~on_floor & (z < _WALL_HEIGHT)

    wall = _wall_shading(x, y, z, is_back=to_back < to_side)
    is_skirting = z < _SKIRTING_HEIGHT
    weights = np.zeros((len(MATERIALS), len(dx)))
    weights[_FLOOR] = np.where(on_floor, _floor_shading(x, y), 0)
    weights[_WALL] = np.where(on_wall, np.where(is_skirting, 0.3 * wall, wall), 0)
    weights[_LIGHT] = np.where(on_wall & is_skirting, 0.65 * wall, 0)
    weights[_SKY] = ~on_floor & ~on_wall
    rays = np.flatnonzero(on_floor)
    points = np.stack([x[rays], y[rays], np.zeros(len(rays))])
    return _Room(origin, directions, weights, rays, points, _to_light(rays, size))


def _to_light(rays: NDArray[np.int64], size: int) -> _Numbers:
    """Return the direction of each shadow ray, to a different point of a square area light per ray of a pixel.

    The points are stratified and deterministic: shadows are soft, and the same on every machine.
    """
    row, column = rays // (size * _SAMPLES) % _SAMPLES, rays % _SAMPLES
    # A permutation of the rays of a pixel, so that neighbouring rays do not go to neighbouring points.
    strata = (row + column) % _SAMPLES, (row + 2 * column) % _SAMPLES
    dx, dy = (_LIGHT_HALF_SIDE / (_SAMPLES - 1) * (2 * stratum - (_SAMPLES - 1)) for stratum in strata)
    x, y, z = _TO_LIGHT
    return _unit(np.stack([x + dx, y + dy, np.full(len(rays), z)]))


def _cast_shadow(samples: _Numbers, room: _Room, placed: _PlacedSolid) -> None:
    """Darken the floor by the cast shadow and the ambient occlusion of the solid, in place."""
    in_shadow = np.isfinite(placed.first_hits(room.floor_points, room.to_light))
    # Ambient occlusion by a sphere of the size of the solid.
    radius = 0.5 * placed.scale
    distance = _norm(room.floor_points[0], room.floor_points[1], radius)
    occlusion = radius * radius * radius / (distance * distance * distance)
    samples[_FLOOR, room.floor] *= np.where(in_shadow, _SHADOW, 1) * (1 - 0.35 * occlusion)


def _draw_solid(samples: _Numbers, room: _Room, placed: _PlacedSolid) -> None:
    """Shade the rays that hit the solid, in place: ambient, diffuse and Blinn-Phong specular reflection."""
    hits = placed.first_hits(room.origin, room.directions)
    rays = np.flatnonzero(np.isfinite(hits))
    directions = room.directions[:, rays]
    points = room.origin + hits[rays] * directions
    normals = placed.normals(points)
    light = np.array(_TO_LIGHT)[:, None]
    diffuse = np.maximum(_dot(normals, light), 0)
    facing = np.maximum(-_dot(normals, directions), 0)
    shading = 0.5 + 0.52 * diffuse + 0.1 * normals[2] + 0.08 * facing
    shading = shading * (1 - 0.5 * _corner_occlusion(np.abs(points[2]), 0.25))
    specular = np.maximum(_dot(normals, _unit(light - directions)), 0)
    for _ in range(5):  # to the 32nd power
        specular = specular * specular
    samples[:, rays] = 0
    samples[_SOLID, rays] = np.clip(shading, 0, 1) * (1 - 0.35 * specular)
    samples[_LIGHT, rays] = 0.35 * specular
