"""Draw the images of examples/my_images, an example of a user-defined folder of images.

python examples/make_my_images.py [FOLDER]
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

N_IMAGES, SIDE, FINE = 200, 32, 4
COLOURS = {"red": (214, 60, 50), "green": (70, 160, 80), "blue": (60, 100, 200), "yellow": (240, 200, 60)}
BACKGROUND = np.array([236, 232, 224])


def draw(shape: str, colour: str, radius: int, x: float) -> np.ndarray:
    """Return a shape in the middle row of the image as (32, 32, 3) uint8, anti-aliased."""
    centres = (np.arange(SIDE * FINE) + 0.5) / FINE
    right, down = np.meshgrid(centres - x, centres - SIDE / 2)
    inside = {
        "disc": right**2 + down**2 <= radius**2,
        "square": np.maximum(np.abs(right), np.abs(down)) <= 0.875 * radius,
        "triangle": (down <= 0.75 * radius) & (2 * np.abs(right) <= down + 1.25 * radius),
    }[shape]
    covered = inside.reshape(SIDE, FINE, SIDE, FINE).sum(axis=(1, 3))[..., None]  # out of 16 points per pixel
    painted = (covered * np.array(COLOURS[colour]) + (FINE**2 - covered) * BACKGROUND) // FINE**2
    return np.asarray(painted, np.uint8)


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "shape", "colour", "radius", "x"])
        for number in range(N_IMAGES):
            shape = ("disc", "square", "triangle")[rng.integers(3)]
            colour = tuple(COLOURS)[rng.integers(4)]
            radius = int(rng.integers(4, 9))
            x = round(float(rng.uniform(9, 23)), 2)
            name = f"{number:03d}.png"
            Image.fromarray(draw(shape, colour, radius, x)).save(folder / name, optimize=True)
            table.writerow([name, shape, colour, radius, x])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "my_images")
