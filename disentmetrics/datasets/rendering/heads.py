"""Smooth synthetic heads, fifty of them, sculpted from formulas.

A head looks along +z, x points to the viewer's right and y up, and it is about two units high:
the chin is near y = -1, the eyes near 0, the crown near 1. Skull and jaw are two ellipsoids
grown together, the face stands out from them as bumps over the plane of x and y, and skin,
hair, eyes and lips are painted on in the same way. Ears and neck are surfaces of their own.

Angles become rounded constants, and all else is sums, products, quotients and square roots of
single numbers: every machine gets the same heads.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.nuisance import uniform
from disentmetrics.datasets.rendering.point_clouds import FINE, FLAT, Cloud, circle, joined

N_HEADS = 50
_N_ACROSS, _N_DOWN = 560, 300  # points around a head, and from crown to throat

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Traits:
    """What makes a head differ from the average one, each from -1 to 1.

    Below is what follows from them: places in units, and how bright things are from 0 to 1.
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
        """How far each eye is from the middle."""
        return 0.285 + 0.045 * self.eye_distance

    @property
    def nose_y(self) -> float:
        """Height of the tip of the nose."""
        return -0.36 - 0.07 * self.nose_length

    @property
    def mouth_y(self) -> float:
        """Height of the line between the lips."""
        return -0.60 - 0.05 * self.nose_length

    @property
    def mouth_half(self) -> float:
        """Half the width of the lips."""
        return 0.27 + 0.06 * self.mouth_width

    @property
    def skin_tone(self) -> float:
        """Brightness of the skin."""
        return 0.78 + 0.15 * self.skin

    @property
    def hair_tone(self) -> float:
        """Brightness of the hair."""
        return 0.36 + 0.22 * self.hair


def traits(number: int) -> Traits:
    """Return the traits of one of the ``N_HEADS`` heads, drawn once and for all.

    Examples
    --------
    >>> round(traits(0).width, 4) == round(traits(1).width, 4)
    False
    """
    drawn = uniform(np.array([number], np.uint64), len(fields(Traits)), stream=1)[0]
    return Traits(*(2 * drawn - 1).tolist())


def _bump(x: Field, y: Field, at: tuple[float, float], radii: tuple[float, float]) -> Field:
    """Return a smooth hill of height 1, nought outside an ellipse."""
    across, up = (x - at[0]) / radii[0], (y - at[1]) / radii[1]
    rest = np.maximum(0, 1 - across * across - up * up)
    return np.asarray(rest * rest * rest)


def _step(x: Field, start: float, end: float) -> Field:
    """Return a smooth rise from 0 at ``start`` to 1 at ``end``, which may lie left of it."""
    t = np.minimum(1, np.maximum(0, (x - start) / (end - start)))
    return np.asarray(t * t * (3 - 2 * t))


def _radius(direction: tuple[Field, Field, Field], centre: tuple[float, float], radii: tuple[float, ...]) -> Field:
    """Return how far an ellipsoid around (0, *centre) reaches in each direction from the origin."""
    x, y, z = (d / r for d, r in zip(direction, radii, strict=True))
    up, front = centre[0] / radii[1], centre[1] / radii[2]
    a = x * x + y * y + z * z
    b = y * up + z * front
    return (b + np.sqrt(b * b + a * (1 - up * up - front * front))) / a


def _larger(a: Field, b: Field, blend: float) -> Field:
    """Return the larger of two, with the kink where they are equal smoothed out."""
    return 0.5 * (a + b + np.sqrt((a - b) * (a - b) + blend * blend))


def _surface(x: Field, y: Field, z: Field, albedo: Field) -> Cloud:
    """Work out the directions of a grid of points that runs down, then around to the viewer's right."""
    grid = (x, y, z)
    down = [np.concatenate([g[1:2] - g[:1], g[2:] - g[:-2], g[-1:] - g[-2:-1]]) for g in grid]
    right = [np.roll(g, -1, axis=1) - np.roll(g, 1, axis=1) for g in grid]
    normal = [down[(i + 1) % 3] * right[(i + 2) % 3] - down[(i + 2) % 3] * right[(i + 1) % 3] for i in range(3)]
    length = np.sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2])
    length = np.maximum(length, 1e-30)
    return Cloud(
        np.stack([np.rint(g * FINE).astype(np.int16).ravel() for g in grid]),
        np.stack([np.rint(n * FLAT / length).astype(np.int8).ravel() for n in normal]),
        np.rint(255 * np.minimum(1, np.maximum(0, albedo))).astype(np.uint8).ravel(),
    )


def _globe(n_down: int, n_across: int, crowding: float) -> tuple[Field, Field, Field]:
    """Return directions from the crown down and all around, crowded towards the front."""
    down = np.pi * (np.arange(n_down) + 0.5) / n_down
    turn = 2 * np.pi * np.arange(n_across) / n_across - np.pi
    height, radius = circle(down)
    front, right = circle(turn - crowding * np.sin(turn))
    return radius[:, None] * right, np.broadcast_to(height[:, None], (n_down, n_across)), radius[:, None] * front


def _skull(t: Traits) -> tuple[Field, Field, Field]:
    direction = _globe(_N_DOWN, _N_ACROSS, 0.35)
    wide, deep = 0.70 + 0.06 * t.width, 0.86 + 0.05 * t.depth
    cranium = _radius(direction, (0.27, -0.10), (wide, 0.72 + 0.05 * t.height, deep))
    jaw_radii = (0.54 + 0.05 * t.jaw_width + 0.04 * t.width, 0.69 + 0.05 * t.jaw_height, 0.52)
    jaw = _radius(direction, (-0.33, 0.28), jaw_radii)
    radius = _larger(cranium, jaw, 0.12)
    x, y, z = (d * radius for d in direction)
    front = _step(z, -0.2, 0.6)
    # A face is flatter than an egg, and the temples are flatter than a ball.
    below = _step(y, -0.3, -1.0) * front
    x = x * (1 - (0.16 - 0.06 * t.jaw_width) * below)
    x = x * (1 - 0.05 * _bump(y, z, (0.12, 0.45), (0.4, 0.5)))
    # The lower jaw runs forwards from below the ear to the chin.
    z = z + 0.20 * _step(y, -0.35, -1.05) * _step(z, -0.6, 0.1)
    return x, y, z


def _relief(t: Traits, x: Field, y: Field) -> Field:
    """Return how far the face stands out from the skull."""
    side = np.abs(x)
    bones = (0.075 + 0.025 * t.brow) * _bump(side, y, (0.24, 0.17), (0.34, 0.17))
    bones += 0.03 * (1 + t.forehead) * _bump(side, y, (0.0, 0.55), (0.5, 0.4))
    bones += (0.05 + 0.02 * t.cheeks) * _bump(side, y, (0.42, -0.2), (0.32, 0.28))
    bones -= (0.04 - 0.03 * t.cheeks) * _bump(side, y, (0.42, -0.55), (0.28, 0.35))
    bones += (0.07 + 0.03 * t.chin) * _bump(side, y, (0.0, -0.90), (0.32, 0.24))
    sockets = -0.13 * _bump(side, y, (t.eye_x - 0.01, 0.0), (0.27, 0.21))
    balls = 0.062 * _bump(side, y, (t.eye_x, -0.01), (0.20 + 0.02 * t.eye_size, 0.13 + 0.02 * t.eye_size))
    return bones + sockets + balls + _nose(t, side, y) + _mouth(t, side, y)


def _nose(t: Traits, side: Field, y: Field) -> Field:
    height, width = 0.20 + 0.06 * t.nose_height, 0.12 + 0.035 * t.nose_width
    along = np.maximum(0, (0.14 - y) / (0.14 - t.nose_y))  # 0 between the eyes, 1 at the tip
    across = side / (width * (1.24 + 0.76 * np.minimum(1, along)))
    ridge = along * _step(y, t.nose_y - 0.19, t.nose_y + 0.02) * _bump(across, y, (0.0, 0.0), (1.0, np.inf))
    relief = height * (0.10 * _bump(side, y, (0.0, 0.1), (0.3, 0.3)) + 0.9 * ridge)
    relief += 0.035 * _bump(side, y, (0.0, t.nose_y + 0.01), (0.16, 0.13))
    relief += 0.075 * _bump(side, y, (0.8 * width + 0.02, t.nose_y - 0.02), (0.10, 0.12))
    return relief


def _mouth(t: Traits, side: Field, y: Field) -> Field:
    full = 1 + 0.3 * t.lips
    relief = 0.06 * _bump(side, y, (0.0, t.mouth_y), (0.42, 0.36))
    relief += 0.045 * full * _bump(side, y, (0.0, t.mouth_y + 0.065), (t.mouth_half, 0.10))
    relief += 0.055 * full * _bump(side, y, (0.0, t.mouth_y - 0.07), (0.9 * t.mouth_half, 0.11))
    relief -= 0.02 * _bump(side, y, (0.0, t.mouth_y), (t.mouth_half, 0.07))
    relief -= 0.03 * _bump(side, y, (0.0, t.mouth_y - 0.18), (0.32, 0.14))
    return relief


def _painted(t: Traits, x: Field, y: Field, z: Field) -> Field:
    """Return how bright the face is: eyes with their surroundings, brows, lips and nostrils on skin."""
    side = np.abs(x)
    large = 1.05 + 0.2 * t.eye_size
    layers = (
        (0.80 * t.skin_tone, 0.8, (t.eye_x, 0.0), (0.26, 0.20)),
        (0.68 * t.skin_tone, 0.9, (0.0, t.mouth_y), (t.mouth_half, 0.16)),
        (0.34 * t.skin_tone, 1.1, (0.0, t.mouth_y), (t.mouth_half + 0.01, 0.062)),
        (0.30 * t.skin_tone, 1.0, (0.06, t.nose_y - 0.09), (0.07, 0.05)),
        (0.15, 1.3, (t.eye_x, 0.02), (0.18 * large, 0.085 * large)),  # lashes
        (0.95, 3.0, (t.eye_x, -0.005), (0.155 * large, 0.08 * large)),
        (0.08, 3.0, (t.eye_x, 0.0), (0.07 * large, 0.075 * large)),
        (0.6 * t.hair_tone, 1.4, (t.eye_x, 0.185), (0.22, 0.05)),
    )
    paint = np.full_like(x, t.skin_tone)
    for colour, strength, at, radii in layers:
        cover = np.minimum(1, strength * _bump(side, y, at, radii)) * _step(z, 0.2, 0.5)
        paint += (colour - paint) * cover
    return paint


def _above_hairline(t: Traits, y: Field, z: Field) -> Field:
    """Return how far a point is above the line that runs over the forehead, the temples, the ears and the nape."""
    forehead = 0.62 + 0.09 * t.hairline
    return y - (forehead - 0.46 * _step(z, 0.66, 0.36) - 0.20 * _step(z, 0.36, 0.02) - 0.55 * _step(z, -0.1, -0.5))


def _strands(t: Traits, y: Field) -> Field:
    """Return how bright the hair is, combed from the crown down."""
    turn = 2 * np.pi * np.arange(_N_ACROSS) / _N_ACROSS
    waves = circle(34 * turn)[0] + circle(21 * turn)[0]
    return np.asarray(t.hair_tone * (1 + 0.10 * waves * _step(y, 1.02, 0.75)))


def _head(t: Traits) -> Cloud:
    x, y, z = _skull(t)
    z = z + _relief(t, x, y) * _step(z, 0.1, 0.45)
    skin, above = _painted(t, x, y, z), _above_hairline(t, y, z)
    albedo = skin + (_strands(t, y) - skin) * _step(above, -0.03, 0.05)
    thick = 1 + 0.05 * _step(above, -0.03, 0.20)
    return _surface(x * thick, 0.2 + (y - 0.2) * thick, -0.1 + (z + 0.1) * thick, albedo)


def _neck(t: Traits) -> Cloud:
    n_down, n_across = 100, 220
    y = np.broadcast_to(-0.2 - 1.85 * np.arange(n_down)[:, None] / n_down, (n_down, n_across))
    front, right = circle(2 * np.pi * np.arange(n_across) / n_across - np.pi)
    spread = np.maximum(0, -1.15 - y)
    flare = _step(y, -1.0, -0.45)  # up to behind the ears
    x = right * (0.38 + 0.04 * t.neck + (0.13 + 0.04 * t.width) * flare + 0.35 * spread * spread)
    z = front * (0.36 + 0.03 * t.neck + 0.1 * spread) - 0.22 + 0.15 * (y + 0.6)
    shaded = 1 - 0.45 * _step(y, -1.35, -0.85)
    return _surface(x, y, z, t.skin_tone * 0.95 * shaded)


def _ear(t: Traits, sign: int) -> Cloud:
    right, up, front = _globe(80, 120, 0.0)
    size = 1 + 0.12 * t.ears
    hollow = _bump(front, up, (0.15, 0.05), (0.75, 0.8)) * _step(right * sign, 0.0, 0.4)
    out = 0.075 * right - sign * 0.075 * hollow
    back = 0.125 * size * front * (1 + 0.25 * up)
    x = sign * (0.675 + 0.055 * t.width) + out - sign * 0.35 * back
    y = -0.12 + 0.21 * size * up
    z = -0.08 + back - 0.05 * up + 0.2 * out * sign
    return _surface(x, y, z, t.skin_tone * (0.95 - 0.35 * hollow))


@lru_cache(maxsize=N_HEADS)
def head(number: int) -> Cloud:
    """Return one of the ``N_HEADS`` heads; they are kept in memory, 2 MB each.

    Examples
    --------
    >>> cloud = head(7)
    >>> cloud.points.shape, cloud.points.dtype.name
    ((3, 209200), 'int16')
    """
    t = traits(number)
    return joined(_head(t), _neck(t), _ear(t, -1), _ear(t, 1))
