"""Score an encoder on your own data: a folder of images, or arrays.

python examples/custom_dataset.py
"""

from pathlib import Path

import numpy as np

import disentmetrics as dm


def brightness_and_place(images: np.ndarray) -> np.ndarray:
    """Encode images (n, 32, 32, 3) of uint8 as codes (n, 4)."""
    colours = images.mean(axis=(1, 2))
    shape = (images.min(axis=3) < 200).sum(axis=1)  # dark pixels of each column
    place = (shape * np.arange(32)).sum(axis=1) / shape.sum(axis=1)
    return np.column_stack([colours, place])


def main() -> None:
    data = dm.CustomDataSet.from_folder(Path(__file__).parent / "my_images", factors=["colour", "radius", "x"])
    print(*data.inference, sep="\n")
    representation = dm.encode(brightness_and_place, data, full_grid=True)
    print(dm.score(representation, ["mcc", "modularity_adj"]))


if __name__ == "__main__":
    main()
