"""A solid in a room, ray-traced into weights of materials: the geometry without its colours.

The room is a hall with a back wall and two side walls, open to the sky and towards the
camera; the solid stands in its middle. x points right, y to the back, z up; one unit is the
side of a cube of scale 1. Solids are given by distances, along which rays are marched (Hart
1996, *Sphere tracing*, The Visual Computer 12).

Only sums, differences, products, quotients and square roots of single numbers go into a
weight, and these are the same on every machine; sines are rounded first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MATERIALS = ("floor", "wall", "solid", "sky", "light")
"""What a pixel is made of, in the order of its weights; the last two have colours of their own."""

SKY, LIGHT = (155, 225, 250), (255, 255, 255)

_Numbers = NDArray[np.float64]
_FLOOR, _WALL, _SOLID, _SKY, _LIGHT = range(len(MATERIALS))
_SAMPLES = 4  # rays along each side of a pixel
_WHOLE = 255
_HALF_WIDTH, _WALL_HEIGHT, _SKIRTING = 3.0, 2.0, 0.14
_CAMERA_DISTANCE, _LOOKED_AT, _HALF_VIEW = 3.3, 0.8, 0.466  # tangent of half the angle of view, 50 degrees
_TO_LIGHT = (-4 / 9, -4 / 9, 7 / 9)
_LAMP = 0.075  # half its side at unit distance
_SHADOW = 0.42  # how bright the floor is in the shadow
_BACK_WALL, _LEFT_WALL, _RIGHT_WALL = 0.96, 0.64, 0.8  # how bright
_NEAR = 1e-4  # a ray that comes so near has hit
_LEAST_STEP = 4e-3
_MOST_STEPS = 40


@dataclass(frozen=True)
class Solid:
    """A body that stands on the floor, at scale 1.

    Attributes
    ----------
    name : str
        What it is called.
    distance : callable
        From x, y, z to a number that is at most the distance to the surface, and negative inside.
    height : float
        The middle of the bounding sphere lies at half of it.
    radius : float
        Of the bounding sphere.
    period : float
        The least turn about the vertical, in degrees, that makes no difference; 0 if none does.
    """

    name: str
    distance: Callable[[_Numbers, _Numbers, _Numbers], _Numbers]
    height: float
    radius: float
    period: float


@dataclass(frozen=True)
class Camera:
    """Looks at the middle of the room from ``azimuth`` degrees to the right and from a height."""

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


def trace(solid: Solid, scale: float, turn: float, camera: Camera, size: int) -> NDArray[np.uint8]:
    """Return of what each pixel is made.

    Parameters
    ----------
    solid : Solid
        Stands in the middle of the room.
    scale : float
        Its size.
    turn : float
        How far it is turned about the vertical, counter-clockwise from above, in degrees.
    camera : Camera
        From where it is seen.
    size : int
        Side of the image in pixels.

    Returns
    -------
    (n_materials, size * size) uint8
        How much of the full colour of each of the ``MATERIALS`` goes into a pixel; 255 is all, and
        the weights of a pixel sum to at most 255.
    """
    room = _room(camera, size)
    placed = _Placed(solid, scale, turn)
    samples = room.weights.copy()
    _cast_shadow(samples, room, placed)
    _draw_solid(samples, room, placed)
    whole = (_WHOLE * samples).astype(np.uint16)  # rounded down, for the sum to stay within 255
    summed = whole.reshape(len(MATERIALS), size, _SAMPLES, size, _SAMPLES).sum(axis=(2, 4), dtype=np.uint16)
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
class _Placed:
    """A solid of some scale, turned about the vertical."""

    solid: Solid
    scale: float
    turn: float

    def normals(self, points: _Numbers) -> _Numbers:
        x, y, z = self._own(points) / self.scale
        here = self.solid.distance(x, y, z)
        slopes = (
            self.solid.distance(*there) - here for there in ((x + _NEAR, y, z), (x, y + _NEAR, z), (x, y, z + _NEAR))
        )
        along_x, along_y, along_z = slopes
        cos, sin = _cos_sin(self.turn)
        return _unit(np.stack([cos * along_x - sin * along_y, sin * along_x + cos * along_y, along_z]))

    def first_hits(self, origins: _Numbers, directions: _Numbers) -> _Numbers:
        """Return how far rays (3, n) go until they hit the solid, infinity if they do not."""
        radius = self.scale * self.solid.radius
        from_middle = origins - np.array([0, 0, self.scale * self.solid.height / 2])[:, None]
        nearest = -_dot(from_middle, directions)
        half_squared = radius * radius - _dot(from_middle, from_middle) + nearest * nearest
        half = np.sqrt(np.maximum(half_squared, 0))
        going = np.flatnonzero((half_squared > 0) & (nearest + half > 0))
        start = self._own(np.broadcast_to(origins, directions.shape).take(going, 1)) / self.scale
        direction = self._own(directions.take(going, 1))
        gone, end = np.maximum(nearest - half, 0)[going] / self.scale, (nearest + half)[going] / self.scale
        hits = np.full(directions.shape[1], np.inf)
        for _ in range(_MOST_STEPS):
            gap = self.solid.distance(*(start + gone * direction))
            has_hit = gap < _NEAR
            hits[going[has_hit]] = self.scale * gone[has_hit]
            gone = gone + np.maximum(gap, _LEAST_STEP)
            on = np.flatnonzero(~has_hit & (gone < end))
            going, gone, end, start, direction = going[on], gone[on], end[on], start.take(on, 1), direction.take(on, 1)
        return hits

    def _own(self, vectors: _Numbers) -> _Numbers:
        """Turn vectors of the room into vectors of the solid."""
        cos, sin = _cos_sin(self.turn)
        x, y, z = vectors
        return np.stack([cos * x + sin * y, cos * y - sin * x, z])


@dataclass(frozen=True)
class _Room:
    """The empty room as the rays of an image meet it.

    Attributes
    ----------
    origin : (3, 1) float64
        The camera.
    directions : (3, n_rays) float64
        Of unit length, row by row from the top left.
    weights : (n_materials, n_rays) float64
        From 0 to 1.
    floor : (n_floor,) int64
        The rays that end on the floor.
    floor_points : (3, n_floor) float64
        Where they do.
    to_light : (3, n_floor) float64
        From there to the lamp, of unit length.
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
    forward = _unit(np.array([0, 0, _LOOKED_AT])[:, None] - origin)
    right = np.array([cos, sin, 0])[:, None]
    up = np.stack([right[1] * forward[2], -right[0] * forward[2], right[0] * forward[1] - right[1] * forward[0]])
    n = size * _SAMPLES
    across = _HALF_VIEW * ((2 * np.arange(n) + 1) / n - 1)
    x, y = np.tile(across, n), np.repeat(-across, n)
    return origin, _unit(forward + x * right + y * up)


def _corner(distance: _Numbers, reach: float) -> _Numbers:
    """Return how dark it is at some distance from a wall, from 1/2 in the corner to 0 far away."""
    return 0.5 - 0.5 * distance / _norm(distance, reach)


def _floor_brightness(x: _Numbers, y: _Numbers) -> _Numbers:
    is_light_tile = np.mod(np.floor(x) + np.floor(y), 2) == 0
    from_walls = np.minimum(_HALF_WIDTH - np.abs(x), _HALF_WIDTH - y)
    brightness = np.where(is_light_tile, 1.0, 0.93) * (1 - 0.5 * _corner(from_walls, 0.8))
    return brightness * (1 - 0.012 * (x * x + y * y))


def _wall_brightness(x: _Numbers, y: _Numbers, z: _Numbers, *, is_back: NDArray[np.bool_]) -> _Numbers:
    painted = np.where(is_back, _BACK_WALL, np.where(x > 0, _RIGHT_WALL, _LEFT_WALL))
    from_corner = np.where(is_back, _HALF_WIDTH - np.abs(x), _HALF_WIDTH - y)
    return painted * (1 - 0.3 * _corner(from_corner, 0.8)) * (1 - 0.3 * _corner(np.abs(z), 0.5))


@lru_cache(maxsize=1)  # views are traced in the order of cameras
def _room(camera: Camera, size: int) -> _Room:
    origin, directions = _rays(camera, size)
    dx, dy, dz = directions
    side = np.where(dx > 0, _HALF_WIDTH, -_HALF_WIDTH)
    to_side = (side - origin[0]) / np.where(dx == 0, -_NEAR, dx)
    to_back = (_HALF_WIDTH - origin[1]) / np.maximum(dy, _NEAR)
    to_wall = np.minimum(to_side, to_back)
    to_floor = origin[2] / np.maximum(-dz, _NEAR)
    x, y, z = origin + np.minimum(to_wall, to_floor) * directions
    on_floor = to_floor < to_wall
    on_wall = ~on_floor & (z < _WALL_HEIGHT)

    wall = _wall_brightness(x, y, z, is_back=to_back < to_side)
    is_skirting = z < _SKIRTING
    weights = np.zeros((len(MATERIALS), len(dx)))
    weights[_FLOOR] = np.where(on_floor, _floor_brightness(x, y), 0)
    weights[_WALL] = np.where(on_wall, np.where(is_skirting, 0.3 * wall, wall), 0)
    weights[_LIGHT] = np.where(on_wall & is_skirting, 0.65 * wall, 0)
    weights[_SKY] = ~on_floor & ~on_wall
    rays = np.flatnonzero(on_floor)
    points = np.stack([x[rays], y[rays], np.zeros(len(rays))])
    return _Room(origin, directions, weights, rays, points, _to_light(rays, size))


def _to_light(rays: NDArray[np.int64], size: int) -> _Numbers:
    """Aim each ray of a pixel at another point of a square lamp: shadows are soft, and the same everywhere."""
    row, column = rays // (size * _SAMPLES) % _SAMPLES, rays % _SAMPLES
    # One to one, and far from the order of the rays.
    places = (row + column) % _SAMPLES, (row + 2 * column) % _SAMPLES
    ahead, aside = (_LAMP / (_SAMPLES - 1) * (2 * place - (_SAMPLES - 1)) for place in places)
    x, y, z = _TO_LIGHT
    return _unit(np.stack([x + ahead, y + aside, np.full(len(rays), z)]))


def _cast_shadow(samples: _Numbers, room: _Room, placed: _Placed) -> None:
    is_dark = np.isfinite(placed.first_hits(room.floor_points, room.to_light))
    # What a ball of the solid's size hides of the sky.
    radius = 0.5 * placed.scale
    to_ball = _norm(room.floor_points[0], room.floor_points[1], radius)
    hidden = radius * radius * radius / (to_ball * to_ball * to_ball)
    samples[_FLOOR, room.floor] *= np.where(is_dark, _SHADOW, 1) * (1 - 0.35 * hidden)


def _draw_solid(samples: _Numbers, room: _Room, placed: _Placed) -> None:
    hits = placed.first_hits(room.origin, room.directions)
    rays = np.flatnonzero(np.isfinite(hits))
    directions = room.directions[:, rays]
    points = room.origin + hits[rays] * directions
    normals = placed.normals(points)
    light = np.array(_TO_LIGHT)[:, None]
    diffuse = np.maximum(_dot(normals, light), 0)
    facing = np.maximum(-_dot(normals, directions), 0)
    brightness = 0.5 + 0.52 * diffuse + 0.1 * normals[2] + 0.08 * facing
    brightness = brightness * (1 - 0.5 * _corner(np.abs(points[2]), 0.25))
    shine = np.maximum(_dot(normals, _unit(light - directions)), 0)
    for _ in range(5):
        shine = shine * shine
    samples[:, rays] = 0
    samples[_SOLID, rays] = np.clip(brightness, 0, 1) * (1 - 0.35 * shine)
    samples[_LIGHT, rays] = 0.35 * shine
