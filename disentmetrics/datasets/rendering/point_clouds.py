"""How a camera sees a cloud of points, and how light falls on what it sees.

A cloud is a surface, given by points so close to one another that hardly a gap is left on the
grid of subpixels, on each of which the nearest point wins. A view keeps the direction of the
surface and its brightness at each pixel; light is added afterwards by looking directions up
in a table. Constants are rounded, the rest is sums, products, quotients and square roots of
single numbers, and directions become whole numbers early: every machine gets the same bytes.

x points to the viewer's right, y up and z towards the viewer, who is far away.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Pixels along each side of a view."""

N_BYTES = 3 * SIDE * SIDE
"""Size of a view: a direction of two bytes and a brightness of one for each pixel."""

FINE = 4096
"""Steps a unit of length in which points are kept."""

FLAT = 127
"""Steps from nought to one in which components of a direction are kept."""

N_DIRECTIONS = 2**16
"""Directions that are told apart: ``256 * up + right``."""

_PIXELS_A_UNIT = 26
_SUBPIXELS = 3  # along each side of a pixel
_WIDE = SIDE * _SUBPIXELS
_MARGIN = 3  # subpixels: in the outermost lies all that is farther outside, two are left to fill gaps from
_CANVAS = _WIDE + 2 * _MARGIN
_SUBPIXELS_A_STEP = _PIXELS_A_UNIT * _SUBPIXELS / FINE
_LOWERED = 2  # subpixels by which the origin lies below the middle
_INDEX_BITS = 18  # of a key: the depth of a point above, its number below
_DEPTH_STEPS, _DEEPEST = 0.4, 4096
_POINTS_AT_ONCE = 65536  # few enough that the temporaries stay small
_VIEWS_AT_ONCE = 64  # views lit in one go: the temporaries stay in the processor's cache

Constants = tuple[float, float, float]


@dataclass(frozen=True)
class Cloud:
    """Points of a surface.

    Attributes
    ----------
    points : (3, n) int16
        x, y and z, ``FINE`` to a unit and less than 2.5 units from the origin; n < 2**18.
    normals : (3, n) int8
        Direction in which the surface faces, ``FLAT`` long.
    albedo : (n,) uint8
        How bright the surface is, white being 255.
    """

    points: NDArray[np.int16]
    normals: NDArray[np.int8]
    albedo: NDArray[np.uint8]


def joined(*clouds: Cloud) -> Cloud:
    """Return all points as one cloud."""
    return Cloud(
        np.concatenate([cloud.points for cloud in clouds], axis=1),
        np.concatenate([cloud.normals for cloud in clouds], axis=1),
        np.concatenate([cloud.albedo for cloud in clouds]),
    )


def circle(angles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosines and sines, rounded so that no library's last digit shows.

    Examples
    --------
    >>> cosine, sine = circle(np.radians([0.0, 30.0, 90.0]))
    >>> cosine.tolist(), sine.tolist()
    ([1.0, 0.866025404, 0.0], [0.0, 0.5, 1.0])
    """
    cosines, sines = (np.asarray(np.round(of(angles), 9) + 0.0, np.float64) for of in (np.cos, np.sin))
    return cosines, sines


def view(cloud: Cloud, azimuth: float, elevation: float) -> NDArray[np.uint8]:
    """Look at a cloud from one side.

    Parameters
    ----------
    cloud : Cloud
        What is looked at.
    azimuth : float
        Degrees by which the cloud is turned to the viewer's right.
    elevation : float
        Degrees by which the camera looks down on it.

    Returns
    -------
    (N_BYTES,) uint8
        Row by row, for each pixel the direction as ``256 * up + right`` (little-endian, each
        ``FLAT`` to one and 128 for nought), then for each pixel the brightness, which is 0
        where there is nothing.
    """
    (turn, tilt), (turn_sine, tilt_sine) = (part.tolist() for part in circle(np.radians([azimuth, elevation])))
    to_right = (turn, 0.0, turn_sine)
    to_top = (turn_sine * tilt_sine, tilt, -turn * tilt_sine)
    to_viewer = (-turn_sine * tilt, tilt_sine, turn * tilt)
    nearest = _nearest(cloud, to_right, to_top, to_viewer)
    is_seen = nearest >= 0
    seen = nearest[is_seen] & (2**_INDEX_BITS - 1)
    normals = cloud.normals[:, seen]
    n_seen = _pooled(is_seen, 1)
    right, up = (_rounded_mean(_pooled(is_seen, _rounded(_along(a, normals))), n_seen) for a in (to_right, to_top))
    bright = _rounded_mean(_pooled(is_seen, cloud.albedo[seen]), np.full_like(n_seen, _SUBPIXELS * _SUBPIXELS))
    codes = (256 * (up + 128) + right + 128).astype("<u2")
    return np.concatenate([codes.view(np.uint8).ravel(), bright.astype(np.uint8).ravel()])


def lit(
    views: NDArray[np.uint8], rows: NDArray[np.int64], shades: NDArray[np.uint8], lights: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Let light fall on views.

    Parameters
    ----------
    views : (n_views, N_BYTES) uint8
        As ``view`` returns them.
    rows : (n,) int64
        Which views.
    shades : (n_lights, N_DIRECTIONS) uint8
        As ``shade`` returns them for each light.
    lights : (n,) int64
        Which light falls on each.

    Returns
    -------
    (n, SIDE, SIDE, 1) uint8
    """
    images = np.empty((len(rows), SIDE, SIDE, 1), np.uint8)
    flat = images.reshape(len(rows), SIDE * SIDE)
    for start in range(0, len(rows), _VIEWS_AT_ONCE):
        part = slice(start, start + _VIEWS_AT_ONCE)
        chosen = np.asarray(views[rows[part]])
        codes = np.ascontiguousarray(chosen[:, : -SIDE * SIDE]).view("<u2").astype(np.int64)
        codes += lights[part, None] * N_DIRECTIONS
        product = shades.take(codes).astype(np.uint16)
        product *= chosen[:, -SIDE * SIDE :]
        product += 128
        product += product >> 8  # with the next line: divided by 255 and rounded
        flat[part] = product >> 8
    return images


def shade(azimuth: float, elevation: float) -> NDArray[np.uint8]:
    """Return how bright a white surface is that faces in each direction, with light from one side.

    Lambert's law, a little light from all around and more from above, and a soft gloss
    (Blinn's half-way vector to the 16th power).

    Parameters
    ----------
    azimuth, elevation : float
        Degrees to the viewer's right and up from which light comes.

    Returns
    -------
    (N_DIRECTIONS,) uint8
        At ``256 * up + right``, see ``view``.

    Examples
    --------
    >>> facing_left, facing_right = 256 * 128 + 128 - 90, 256 * 128 + 128 + 90
    >>> table = shade(-45, 0)
    >>> bool(table[facing_left] > 4 * table[facing_right])
    True
    """
    (turn, tilt), (turn_sine, tilt_sine) = (part.tolist() for part in circle(np.radians([azimuth, elevation])))
    steps = (np.arange(256) - 128) / FLAT
    right, up = steps[None, :], steps[:, None]
    towards = np.sqrt(np.maximum(0, 1 - right * right - up * up))
    light = (turn_sine * tilt, tilt_sine, turn * tilt)
    half = float(np.sqrt(2 + 2 * light[2]))
    lambert = np.maximum(0, light[0] * right + light[1] * up + light[2] * towards)
    gloss = np.maximum(0, (light[0] * right + light[1] * up + (light[2] + 1) * towards) / half)
    for _ in range(4):
        gloss *= gloss
    bright = 0.18 + 0.07 * up + 0.75 * lambert + 0.07 * gloss
    return np.asarray(np.rint(255 * np.minimum(1, np.maximum(0, bright))), np.uint8).ravel()


def _along(axis: Constants, vectors: NDArray[np.number]) -> NDArray[np.float32]:
    """Return the component of each vector along an axis; written out, as the order of a sum counts."""
    component = vectors[0].astype(np.float32, copy=False) * np.float32(axis[0])
    for part, other in zip(axis[1:], vectors[1:], strict=True):
        component += other.astype(np.float32, copy=False) * np.float32(part)
    return np.asarray(component)


def _rounded(numbers: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.rint(numbers).astype(np.int32)


def _nearest(cloud: Cloud, to_right: Constants, to_top: Constants, to_viewer: Constants) -> NDArray[np.int32]:
    """Return the key of the nearest point at each subpixel, -1 where there is none, as (_WIDE, _WIDE)."""
    canvas = np.full(_CANVAS * _CANVAS, -1, np.int32)
    scale = np.float32(_SUBPIXELS_A_STEP)
    for start in range(0, cloud.points.shape[1], _POINTS_AT_ONCE):
        part = slice(start, start + _POINTS_AT_ONCE)
        front = np.flatnonzero(_along(to_viewer, cloud.normals[:, part]) > 0)
        points = cloud.points[:, part][:, front].astype(np.float32)
        depth = _along(to_viewer, points) * np.float32(_DEPTH_STEPS) + np.float32(_DEEPEST)
        keys = (depth.astype(np.int32) << _INDEX_BITS) | (start + front.astype(np.int32))
        across = _cell(_along(to_right, points) * scale)
        down = _cell(_along(to_top, points) * -scale + np.float32(_LOWERED))
        np.maximum.at(canvas, down * _CANVAS + across, keys)
    grid = canvas.reshape(_CANVAS, _CANVAS)
    return _closed(_closed(grid).T).T[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _cell(place: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the row or column of the canvas at each place, which is counted from the middle of the frame."""
    place += np.float32(_CANVAS // 2)
    return np.minimum(np.maximum(place, 0), _CANVAS - 1).astype(np.int32)


def _closed(keys: NDArray[np.int32]) -> NDArray[np.int32]:
    """Fill gaps one or two subpixels wide along rows: the largest of three neighbours, then the least of three."""
    largest = keys.copy()
    np.maximum(largest[:, 1:], keys[:, :-1], out=largest[:, 1:])
    np.maximum(largest[:, :-1], keys[:, 1:], out=largest[:, :-1])
    least = largest.copy()
    np.minimum(least[:, 1:], largest[:, :-1], out=least[:, 1:])
    np.minimum(least[:, :-1], largest[:, 1:], out=least[:, :-1])
    return least


def _pooled(where: NDArray[np.bool_], numbers: NDArray[np.integer] | int) -> NDArray[np.int32]:
    """Return the sum over the subpixels of each pixel, as (SIDE, SIDE)."""
    canvas = np.zeros(where.shape, np.int32)
    canvas[where] = numbers
    rows = canvas.reshape(SIDE, _SUBPIXELS, _WIDE).sum(axis=1)
    return np.asarray(rows.reshape(SIDE, SIDE, _SUBPIXELS).sum(axis=2), np.int32)


def _rounded_mean(total: NDArray[np.int32], n: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return total / n rounded, halves up, and 0 where n is 0."""
    n = np.maximum(n, 1)
    return (2 * total + n) // (2 * n)
