"""Packs scikit-learn's digits into the two files that the package ships.

    python tools/digits.py

They hold what ``sklearn.datasets.load_digits`` returns, in the IDX format of MNIST: 1,797 images of
8x8 pixels in 0..16, and their labels. These are the test images of "Optical Recognition of
Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998), under the
licence CC BY 4.0. scikit-learn is needed here and in a test alone.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GOAL = Path(__file__).parents[1] / "src" / "remission" / "data"


def idx(values: NDArray[np.uint8]) -> bytes:
    """Returns an array as the content of an IDX file."""
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes((0, 0, 8, values.ndim)) + lengths + values.tobytes()


def main() -> None:
    """Writes the files, the same bytes at any time."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, target = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    assert (images == bunch.images).all(), "the pixels are not whole numbers in 0..255"
    for name, values in (("images-idx3", images), ("labels-idx1", target)):
        file = GOAL / f"digits-{name}-ubyte.gz"
        file.write_bytes(gzip.compress(idx(values), mtime=0))
        print(f"{file}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
