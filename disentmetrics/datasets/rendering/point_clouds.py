"""Rendering of point clouds: orthographic projection with a depth buffer, then deferred shading.

A cloud samples a surface so densely that hardly a gap is left on the grid of subpixels; a depth
buffer keeps the nearest point of each. A view stores the surface normal and the albedo at each
pixel; lighting is applied afterwards by looking normals up in a table. Constants are rounded, the
rest consists of sums, products, quotients and square roots of scalars, and normals are quantised
early, so every machine renders the same bytes.

x points to the viewer's right, y up and z towards the camera.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Pixels along each side of a view."""

N_BYTES = 3 * SIDE * SIDE
"""Size of a view: two bytes of surface normal and one of albedo per pixel."""

POINT_SCALE = 4096
"""Fixed-point steps per unit of length in which points are stored."""

NORMAL_SCALE = 127
"""Fixed-point steps per unit in which components of a normal are stored."""

N_DIRECTIONS = 2**16
"""Number of quantised directions: ``256 * up + right``."""

_PIXELS_PER_UNIT = 26
_SUBPIXELS = 3  # along each side of a pixel
_WIDTH = SIDE * _SUBPIXELS
_MARGIN = 3  # subpixels: points outside the frame are clamped to the outermost, the other two allow filling gaps
_BUFFER_WIDTH = _WIDTH + 2 * _MARGIN
_SUBPIXELS_PER_STEP = _PIXELS_PER_UNIT * _SUBPIXELS / POINT_SCALE
_ORIGIN_OFFSET = 2  # subpixels by which the origin lies below the centre of the frame
_INDEX_BITS = 18  # low bits of a depth-buffer key: the index of a point; above them, its depth
_DEPTH_SCALE, _DEPTH_OFFSET = 0.4, 4096
_POINT_BATCH = 65536  # few enough that the temporaries stay small
_VIEW_BATCH = 64  # views shaded per batch, so that the temporaries fit into the CPU cache

Constants = tuple[float, float, float]


@dataclass(frozen=True)
class Cloud:
    """Sampled points of a surface.

    Attributes
    ----------
    points : (3, n) int16
        x, y and z, with ``POINT_SCALE`` steps per unit, less than 2.5 units from the origin; n < 2**18.
    normals : (3, n) int8
        Surface normals of length ``NORMAL_SCALE``.
    albedo : (n,) uint8
        Albedo, 255 for white.
    """

    points: NDArray[np.int16]
    normals: NDArray[np.int8]
    albedo: NDArray[np.uint8]


def merged(*clouds: Cloud) -> Cloud:
    """Return the points of all clouds as one cloud."""
    return Cloud(
        np.concatenate([cloud.points for cloud in clouds], axis=1),
        np.concatenate([cloud.normals for cloud in clouds], axis=1),
        np.concatenate([cloud.albedo for cloud in clouds]),
    )


def cos_sin(angles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosines and sines, rounded so that they do not depend on the mathematics library.

    Examples
    --------
    >>> cosine, sine = cos_sin(np.radians([0.0, 30.0, 90.0]))
    >>> cosine.tolist(), sine.tolist()
    ([1.0, 0.866025404, 0.0], [0.0, 0.5, 1.0])
    """
    cosines, sines = (np.asarray(np.round(of(angles), 9) + 0.0, np.float64) for of in (np.cos, np.sin))
    return cosines, sines


def view(cloud: Cloud, azimuth: float, elevation: float) -> NDArray[np.uint8]:
    """Project a cloud onto the image plane of a camera.

    Parameters
    ----------
    cloud : Cloud
        Points to project.
    azimuth : float
        Rotation of the cloud to the viewer's right, in degrees.
    elevation : float
        Elevation of the camera in degrees.

    Returns
    -------
    (N_BYTES,) uint8
        Row by row, the normal at each pixel as ``256 * up + right`` (little-endian, each component in
        steps of 1 / ``NORMAL_SCALE`` plus 128), then the albedo at each pixel, which is 0 in the background.
    """
    (cos_a, cos_e), (sin_a, sin_e) = (part.tolist() for part in cos_sin(np.radians([azimuth, elevation])))
    # The axes of the camera in the coordinates of the cloud.
    to_right = (cos_a, 0.0, sin_a)
    to_top = (sin_a * sin_e, cos_e, -cos_a * sin_e)
    to_viewer = (-sin_a * cos_e, sin_e, cos_a * cos_e)
    keys = _depth_buffer(cloud, to_right, to_top, to_viewer)
    is_covered = keys >= 0
    visible = keys[is_covered] & (2**_INDEX_BITS - 1)
    normals = cloud.normals[:, visible]
    n_covered = _pixel_sums(is_covered, 1)
    right, up = (
        _rounded_mean(_pixel_sums(is_covered, _rounded(_component(axis, normals))), n_covered)
        for axis in (to_right, to_top)
    )
    # Normals are averaged over covered subpixels, albedo over all of them, which anti-aliases the outline.
    all_subpixels = np.full_like(n_covered, _SUBPIXELS * _SUBPIXELS)
    albedo = _rounded_mean(_pixel_sums(is_covered, cloud.albedo[visible]), all_subpixels)
    directions = (256 * (up + 128) + right + 128).astype("<u2")
    return np.concatenate([directions.view(np.uint8).ravel(), albedo.astype(np.uint8).ravel()])


def shaded(
    views: NDArray[np.uint8], rows: NDArray[np.int64], tables: NDArray[np.uint8], lights: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Apply lighting to views: albedo times shading.

    Parameters
    ----------
    views : (n_views, N_BYTES) uint8
        Views returned by ``view``.
    rows : (n,) int64
        Index of the view of each image.
    tables : (n_lights, N_DIRECTIONS) uint8
        The ``shading_table`` of each light.
    lights : (n,) int64
        Index of the light of each image.

    Returns
    -------
    (n, SIDE, SIDE, 1) uint8
    """
    images = np.empty((len(rows), SIDE, SIDE, 1), np.uint8)
    flat = images.reshape(len(rows), SIDE * SIDE)
    for start in range(0, len(rows), _VIEW_BATCH):
        part = slice(start, start + _VIEW_BATCH)
        selected = np.asarray(views[rows[part]])
        directions = np.ascontiguousarray(selected[:, : -SIDE * SIDE]).view("<u2").astype(np.int64)
        directions += lights[part, None] * N_DIRECTIONS
        product = tables.take(directions).astype(np.uint16)
        product *= selected[:, -SIDE * SIDE :]
        product += 128
        product += product >> 8  # with the next line: divided by 255 and rounded
        flat[part] = product >> 8
    return images


def shading_table(azimuth: float, elevation: float) -> NDArray[np.uint8]:
    """Return the shading of a white surface for each direction of its normal, under a directional light.

    Hemispheric ambient light (stronger from above), Lambertian diffuse reflection, and a soft
    Blinn-Phong specular highlight with exponent 16.

    Parameters
    ----------
    azimuth, elevation : float
        Direction of the light in degrees, to the viewer's right and up.

    Returns
    -------
    (N_DIRECTIONS,) uint8
        Indexed by ``256 * up + right``, see ``view``.

    Examples
    --------
    >>> facing_left, facing_right = 256 * 128 + 128 - 90, 256 * 128 + 128 + 90
    >>> table = shading_table(-45, 0)
    >>> bool(table[facing_left] > 4 * table[facing_right])
    True
    """
    (cos_a, cos_e), (sin_a, sin_e) = (part.tolist() for part in cos_sin(np.radians([azimuth, elevation])))
    steps = (np.arange(256) - 128) / NORMAL_SCALE
    right, up = steps[None, :], steps[:, None]
    forward = np.sqrt(np.maximum(0, 1 - right * right - up * up))
    light = (sin_a * cos_e, sin_e, cos_a * cos_e)
    diffuse = np.maximum(0, light[0] * right + light[1] * up + light[2] * forward)
    # The half vector is light + (0, 0, 1), of this length.
    half_length = float(np.sqrt(2 + 2 * light[2]))
    specular = np.maximum(0, (light[0] * right + light[1] * up + (light[2] + 1) * forward) / half_length)
    for _ in range(4):  # to the 16th power
        specular *= specular
    shading = 0.18 + 0.07 * up + 0.75 * diffuse + 0.07 * specular
    return np.asarray(np.rint(255 * np.minimum(1, np.maximum(0, shading))), np.uint8).ravel()


def _component(axis: Constants, vectors: NDArray[np.number]) -> NDArray[np.float32]:
    """Return the component of each vector along an axis, summed in a fixed order."""
    component = vectors[0].astype(np.float32, copy=False) * np.float32(axis[0])
    for part, other in zip(axis[1:], vectors[1:], strict=True):
        component += other.astype(np.float32, copy=False) * np.float32(part)
    return np.asarray(component)


def _rounded(numbers: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.rint(numbers).astype(np.int32)


def _depth_buffer(cloud: Cloud, to_right: Constants, to_top: Constants, to_viewer: Constants) -> NDArray[np.int32]:
    """Return the key of the nearest point at each subpixel, -1 where there is none, as (_WIDTH, _WIDTH)."""
    buffer = np.full(_BUFFER_WIDTH * _BUFFER_WIDTH, -1, np.int32)
    scale = np.float32(_SUBPIXELS_PER_STEP)
    for start in range(0, cloud.points.shape[1], _POINT_BATCH):
        part = slice(start, start + _POINT_BATCH)
        front_facing = np.flatnonzero(_component(to_viewer, cloud.normals[:, part]) > 0)
        points = cloud.points[:, part][:, front_facing].astype(np.float32)
        depth = _component(to_viewer, points) * np.float32(_DEPTH_SCALE) + np.float32(_DEPTH_OFFSET)
        keys = (depth.astype(np.int32) << _INDEX_BITS) | (start + front_facing.astype(np.int32))
        column = _clamped_index(_component(to_right, points) * scale)
        row = _clamped_index(_component(to_top, points) * -scale + np.float32(_ORIGIN_OFFSET))
        np.maximum.at(buffer, row * _BUFFER_WIDTH + column, keys)
    grid = buffer.reshape(_BUFFER_WIDTH, _BUFFER_WIDTH)
    return _closed(_closed(grid).T).T[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _clamped_index(position: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the row or column in the buffer of positions relative to the centre of the frame; changes its input."""
    position += np.float32(_BUFFER_WIDTH // 2)
    return np.minimum(np.maximum(position, 0), _BUFFER_WIDTH - 1).astype(np.int32)


def _closed(keys: NDArray[np.int32]) -> NDArray[np.int32]:
    """Fill gaps of one or two subpixels along rows by morphological closing: dilation, then erosion."""
    dilated = keys.copy()
    np.maximum(dilated[:, 1:], keys[:, :-1], out=dilated[:, 1:])
    np.maximum(dilated[:, :-1], keys[:, 1:], out=dilated[:, :-1])
    eroded = dilated.copy()
    np.minimum(eroded[:, 1:], dilated[:, :-1], out=eroded[:, 1:])
    np.minimum(eroded[:, :-1], dilated[:, 1:], out=eroded[:, :-1])
    return eroded


def _pixel_sums(where: NDArray[np.bool_], numbers: NDArray[np.integer] | int) -> NDArray[np.int32]:
    """Return the sum over the subpixels of each pixel, as (SIDE, SIDE)."""
    subpixels = np.zeros(where.shape, np.int32)
    subpixels[where] = numbers
    rows = subpixels.reshape(SIDE, _SUBPIXELS, _WIDTH).sum(axis=1)
    return np.asarray(rows.reshape(SIDE, SIDE, _SUBPIXELS).sum(axis=2), np.int32)


def _rounded_mean(total: NDArray[np.int32], n: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return total / n, rounded half up, and 0 where n is 0."""
    n = np.maximum(n, 1)
    return (2 * total + n) // (2 * n)
