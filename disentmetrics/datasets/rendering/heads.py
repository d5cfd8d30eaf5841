"""Fifty synthetic heads as point clouds, generated from closed-form surfaces.

A head faces +z, with x to the viewer's right and y up, and is about two units high: the chin is
near y = -1, the eyes near 0, the crown near 1. Skull and jaw are the smooth union of two
ellipsoids; the face is a displacement by smooth bumps over the plane of x and y; the albedo of
skin, hair, eyes and lips is layered in the same way. Ears and neck are separate surfaces.

Sines and cosines are rounded, and everything else consists of sums, products, quotients and square
roots of scalars, so every machine generates the same heads.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.nuisance import uniform
from disentmetrics.datasets.rendering.point_clouds import NORMAL_SCALE, POINT_SCALE, Cloud, cos_sin, merged

N_HEADS = 50
_N_LONGITUDES, _N_LATITUDES = 560, 300  # points around a head, and from crown to throat

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Traits:
    """Parameters of a head, each from -1 to 1; 0 is the average head.

    The properties are derived: positions in units of length, and albedos from 0 to 1.
    """

    width: float
    height: float
    depth: float
    jaw_width: float
    jaw_height: float
    chin: float
    cheeks: float
    brow: float
    forehead: float
    eye_distance: float
    eye_size: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_width: float
    lips: float
    ears: float
    neck: float
    skin: float
    hair: float
    hairline: float

    @property
    def eye_x(self) -> float:
        """Distance of each eye from the plane of symmetry."""
        return 0.285 + 0.045 * self.eye_distance

    @property
    def nose_y(self) -> float:
        """Height of the tip of the nose."""
        return -0.36 - 0.07 * self.nose_length

    @property
    def mouth_y(self) -> float:
        """Height of the mouth, between the lips."""
        return -0.60 - 0.05 * self.nose_length

    @property
    def mouth_half(self) -> float:
        """Half the width of the lips."""
        return 0.27 + 0.06 * self.mouth_width

    @property
    def skin_tone(self) -> float:
        """Albedo of the skin."""
        return 0.78 + 0.15 * self.skin

    @property
    def hair_tone(self) -> float:
        """Albedo of the hair."""
        return 0.36 + 0.22 * self.hair


def traits(number: int) -> Traits:
    """Return the traits of one of the ``N_HEADS`` heads; they are fixed and do not depend on a seed.

    Examples
    --------
    >>> round(traits(0).width, 4) == round(traits(1).width, 4)
    False
    """
    drawn = uniform(np.array([number], np.uint64), len(fields(Traits)), stream=1)[0]
    return Traits(*(2 * drawn - 1).tolist())


def _bump(x: Field, y: Field, centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    """Return a smooth bump of height 1 that vanishes outside an ellipse: max(0, 1 - r²)³."""
    dx, dy = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    profile = np.maximum(0, 1 - dx * dx - dy * dy)
    return np.asarray(profile * profile * profile)


def _smoothstep(x: Field, start: float, end: float) -> Field:
    """Return the smoothstep from 0 at ``start`` to 1 at ``end``, which may be less than ``start``."""
    t = np.minimum(1, np.maximum(0, (x - start) / (end - start)))
    return np.asarray(t * t * (3 - 2 * t))


def _ellipsoid_radius(
    direction: tuple[Field, Field, Field], centre: tuple[float, float], radii: tuple[float, ...]
) -> Field:
    """Return the distance from the origin to an ellipsoid centred at (0, *centre), in each direction."""
    x, y, z = (d / r for d, r in zip(direction, radii, strict=True))
    up, front = centre[0] / radii[1], centre[1] / radii[2]
    a = x * x + y * y + z * z
    b = y * up + z * front
    return (b + np.sqrt(b * b + a * (1 - up * up - front * front))) / a


def _smooth_maximum(a: Field, b: Field, blend: float) -> Field:
    """Return a smooth maximum, which exceeds the maximum by at most ``blend`` / 2, where ``a`` equals ``b``."""
    return 0.5 * (a + b + np.sqrt((a - b) * (a - b) + blend * blend))


def _surface(x: Field, y: Field, z: Field, albedo: Field) -> Cloud:
    """Return a grid of points as a cloud, with normals; rows run downwards, columns to the viewer's right."""
    grid = (x, y, z)
    # The normal is the cross product of the tangents, by central differences (one-sided at top and bottom).
    down = [np.concatenate([g[1:2] - g[:1], g[2:] - g[:-2], g[-1:] - g[-2:-1]]) for g in grid]
    right = [np.roll(g, -1, axis=1) - np.roll(g, 1, axis=1) for g in grid]
    normal = [down[(i + 1) % 3] * right[(i + 2) % 3] - down[(i + 2) % 3] * right[(i + 1) % 3] for i in range(3)]
    length = np.sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2])
    length = np.maximum(length, 1e-30)
    return Cloud(
        np.stack([np.rint(g * POINT_SCALE).astype(np.int16).ravel() for g in grid]),
        np.stack([np.rint(n * NORMAL_SCALE / length).astype(np.int8).ravel() for n in normal]),
        np.rint(255 * np.minimum(1, np.maximum(0, albedo))).astype(np.uint8).ravel(),
    )


def _sphere_directions(n_latitudes: int, n_longitudes: int, crowding: float) -> tuple[Field, Field, Field]:
    """Return a grid of unit vectors by latitude and longitude, denser towards the front."""
    polar = np.pi * (np.arange(n_latitudes) + 0.5) / n_latitudes
    azimuth = 2 * np.pi * np.arange(n_longitudes) / n_longitudes - np.pi
    height, radius = cos_sin(polar)
    front, right = cos_sin(azimuth - crowding * np.sin(azimuth))
    up = np.broadcast_to(height[:, None], (n_latitudes, n_longitudes))
    return radius[:, None] * right, up, radius[:, None] * front


def _skull(t: Traits) -> tuple[Field, Field, Field]:
    direction = _sphere_directions(_N_LATITUDES, _N_LONGITUDES, 0.35)
    width, depth = 0.70 + 0.06 * t.width, 0.86 + 0.05 * t.depth
    cranium = _ellipsoid_radius(direction, (0.27, -0.10), (width, 0.72 + 0.05 * t.height, depth))
    jaw_radii = (0.54 + 0.05 * t.jaw_width + 0.04 * t.width, 0.69 + 0.05 * t.jaw_height, 0.52)
    jaw = _ellipsoid_radius(direction, (-0.33, 0.28), jaw_radii)
    radius = _smooth_maximum(cranium, jaw, 0.12)
    x, y, z = (d * radius for d in direction)
    front = _smoothstep(z, -0.2, 0.6)
    # Narrow the lower face, then flatten the temples.
    below = _smoothstep(y, -0.3, -1.0) * front
    x = x * (1 - (0.16 - 0.06 * t.jaw_width) * below)
    x = x * (1 - 0.05 * _bump(y, z, (0.12, 0.45), (0.4, 0.5)))
    # Move the lower jaw forwards, increasingly from below the ear to the chin.
    z = z + 0.20 * _smoothstep(y, -0.35, -1.05) * _smoothstep(z, -0.6, 0.1)
    return x, y, z


def _relief(t: Traits, x: Field, y: Field) -> Field:
    """Return the displacement of the face from the skull, along z."""
    side = np.abs(x)
    bones = (0.075 + 0.025 * t.brow) * _bump(side, y, (0.24, 0.17), (0.34, 0.17))
    bones += 0.03 * (1 + t.forehead) * _bump(side, y, (0.0, 0.55), (0.5, 0.4))
    bones += (0.05 + 0.02 * t.cheeks) * _bump(side, y, (0.42, -0.2), (0.32, 0.28))
    bones -= (0.04 - 0.03 * t.cheeks) * _bump(side, y, (0.42, -0.55), (0.28, 0.35))
    bones += (0.07 + 0.03 * t.chin) * _bump(side, y, (0.0, -0.90), (0.32, 0.24))
    sockets = -0.13 * _bump(side, y, (t.eye_x - 0.01, 0.0), (0.27, 0.21))
    eyeballs = 0.062 * _bump(side, y, (t.eye_x, -0.01), (0.20 + 0.02 * t.eye_size, 0.13 + 0.02 * t.eye_size))
    return bones + sockets + eyeballs + _nose(t, side, y) + _mouth(t, side, y)


def _nose(t: Traits, side: Field, y: Field) -> Field:
    height, width = 0.20 + 0.06 * t.nose_height, 0.12 + 0.035 * t.nose_width
    position = np.maximum(0, (0.14 - y) / (0.14 - t.nose_y))  # along the ridge: 0 between the eyes, 1 at the tip
    offset = side / (width * (1.24 + 0.76 * np.minimum(1, position)))
    ridge = position * _smoothstep(y, t.nose_y - 0.19, t.nose_y + 0.02) * _bump(offset, y, (0.0, 0.0), (1.0, np.inf))
    relief = height * (0.10 * _bump(side, y, (0.0, 0.1), (0.3, 0.3)) + 0.9 * ridge)
    relief += 0.035 * _bump(side, y, (0.0, t.nose_y + 0.01), (0.16, 0.13))
    relief += 0.075 * _bump(side, y, (0.8 * width + 0.02, t.nose_y - 0.02), (0.10, 0.12))
    return relief


def _mouth(t: Traits, side: Field, y: Field) -> Field:
    fullness = 1 + 0.3 * t.lips
    relief = 0.06 * _bump(side, y, (0.0, t.mouth_y), (0.42, 0.36))
    relief += 0.045 * fullness * _bump(side, y, (0.0, t.mouth_y + 0.065), (t.mouth_half, 0.10))
    relief += 0.055 * fullness * _bump(side, y, (0.0, t.mouth_y - 0.07), (0.9 * t.mouth_half, 0.11))
    relief -= 0.02 * _bump(side, y, (0.0, t.mouth_y), (t.mouth_half, 0.07))
    relief -= 0.03 * _bump(side, y, (0.0, t.mouth_y - 0.18), (0.32, 0.14))
    return relief


def _face_albedo(t: Traits, x: Field, y: Field, z: Field) -> Field:
    """Return the albedo of the face: eyes with their surroundings, brows, lips and nostrils on skin."""
    side = np.abs(x)
    eye_scale = 1.05 + 0.2 * t.eye_size
    layers = (  # albedo, opacity, centre, radii; from bottom to top
        (0.80 * t.skin_tone, 0.8, (t.eye_x, 0.0), (0.26, 0.20)),
        (0.68 * t.skin_tone, 0.9, (0.0, t.mouth_y), (t.mouth_half, 0.16)),
        (0.34 * t.skin_tone, 1.1, (0.0, t.mouth_y), (t.mouth_half + 0.01, 0.062)),
        (0.30 * t.skin_tone, 1.0, (0.06, t.nose_y - 0.09), (0.07, 0.05)),
        (0.15, 1.3, (t.eye_x, 0.02), (0.18 * eye_scale, 0.085 * eye_scale)),  # lashes
        (0.95, 3.0, (t.eye_x, -0.005), (0.155 * eye_scale, 0.08 * eye_scale)),  # white of the eye
        (0.08, 3.0, (t.eye_x, 0.0), (0.07 * eye_scale, 0.075 * eye_scale)),  # iris
        (0.6 * t.hair_tone, 1.4, (t.eye_x, 0.185), (0.22, 0.05)),  # brows
    )
    albedo = np.full_like(x, t.skin_tone)
    for layer, opacity, centre, radii in layers:
        coverage = np.minimum(1, opacity * _bump(side, y, centre, radii)) * _smoothstep(z, 0.2, 0.5)
        albedo += (layer - albedo) * coverage
    return albedo


def _above_hairline(t: Traits, y: Field, z: Field) -> Field:
    """Return the height above the hairline, which passes over the forehead, the temples, the ears and the nape."""
    forehead = 0.62 + 0.09 * t.hairline
    return y - (
        forehead
        - 0.46 * _smoothstep(z, 0.66, 0.36)
        - 0.20 * _smoothstep(z, 0.36, 0.02)
        - 0.55 * _smoothstep(z, -0.1, -0.5)
    )


def _hair_albedo(t: Traits, y: Field) -> Field:
    """Return the albedo of the hair, with strands that run from the crown down."""
    azimuth = 2 * np.pi * np.arange(_N_LONGITUDES) / _N_LONGITUDES
    waves = cos_sin(34 * azimuth)[0] + cos_sin(21 * azimuth)[0]
    return np.asarray(t.hair_tone * (1 + 0.10 * waves * _smoothstep(y, 1.02, 0.75)))


def _head(t: Traits) -> Cloud:
    x, y, z = _skull(t)
    z = z + _relief(t, x, y) * _smoothstep(z, 0.1, 0.45)
    face, height = _face_albedo(t, x, y, z), _above_hairline(t, y, z)
    albedo = face + (_hair_albedo(t, y) - face) * _smoothstep(height, -0.03, 0.05)
    volume = 1 + 0.05 * _smoothstep(height, -0.03, 0.20)  # hair is thicker than skin
    return _surface(x * volume, 0.2 + (y - 0.2) * volume, -0.1 + (z + 0.1) * volume, albedo)


def _neck(t: Traits) -> Cloud:
    n_rows, n_columns = 100, 220
    y = np.broadcast_to(-0.2 - 1.85 * np.arange(n_rows)[:, None] / n_rows, (n_rows, n_columns))
    front, right = cos_sin(2 * np.pi * np.arange(n_columns) / n_columns - np.pi)
    spread = np.maximum(0, -1.15 - y)
    flare = _smoothstep(y, -1.0, -0.45)  # widens up to behind the ears
    x = right * (0.38 + 0.04 * t.neck + (0.13 + 0.04 * t.width) * flare + 0.35 * spread * spread)
    z = front * (0.36 + 0.03 * t.neck + 0.1 * spread) - 0.22 + 0.15 * (y + 0.6)
    occlusion = 1 - 0.45 * _smoothstep(y, -1.35, -0.85)  # darker under the chin
    return _surface(x, y, z, t.skin_tone * 0.95 * occlusion)


def _ear(t: Traits, sign: int) -> Cloud:
    right, up, front = _sphere_directions(80, 120, 0.0)
    size = 1 + 0.12 * t.ears
    hollow = _bump(front, up, (0.15, 0.05), (0.75, 0.8)) * _smoothstep(right * sign, 0.0, 0.4)
    outward = 0.075 * right - sign * 0.075 * hollow
    forward = 0.125 * size * front * (1 + 0.25 * up)
    x = sign * (0.675 + 0.055 * t.width) + outward - sign * 0.35 * forward
    y = -0.12 + 0.21 * size * up
    z = -0.08 + forward - 0.05 * up + 0.2 * outward * sign
    return _surface(x, y, z, t.skin_tone * (0.95 - 0.35 * hollow))


@lru_cache(maxsize=N_HEADS)
def head(number: int) -> Cloud:
    """Return the point cloud of one of the ``N_HEADS`` heads; clouds are cached in memory, 2 MB each.

    Examples
    --------
    >>> cloud = head(7)
    >>> cloud.points.shape, cloud.points.dtype.name
    ((3, 209200), 'int16')
    """
    t = traits(number)
    return merged(_head(t), _neck(t), _ear(t, -1), _ear(t, 1))
