"""Packs scikit-learn's digits into the file that the package ships.

    python tools/digits.py

The file holds what ``sklearn.datasets.load_digits`` returns, in fewer bytes: 1,797 images of 8x8
pixels in 0..16, and their labels. They are the test images of "Optical Recognition of Handwritten
Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998), under the licence
CC BY 4.0. scikit-learn is needed here and in a test alone; a user installs 60 MB less.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

GOAL = Path(__file__).parents[1] / "src" / "remission" / "data" / "digits.npz"


def main() -> None:
    """Writes the file."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, target = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    assert (images == bunch.images).all(), "the pixels are not whole numbers in 0..255"
    np.savez_compressed(GOAL, images=images, target=target)
    print(f"{GOAL}: {GOAL.stat().st_size} bytes")


if __name__ == "__main__":
    main()
