"""The catalogue of the data sets that are known by name. It imports no torch and no numpy."""

from __future__ import annotations

from pathlib import Path

from remission.data.source import Archive, File, Source
from remission.errors import DataError, closest

_FASHION_MNIST = Source(
    name="fashion-mnist",
    description="grey photographs of articles of clothing (Zalando Research)",
    shape=(1, 28, 28),
    classes=10,
    train=60_000,
    test=10_000,
    licence="MIT",
    format="idx",
    files=(
        File(
            name="train-images-idx3-ubyte.gz",
            size=47_040_016,
            sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        File(
            name="train-labels-idx1-ubyte.gz",
            size=60_008,
            sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        File(
            name="t10k-images-idx3-ubyte.gz",
            size=7_840_016,
            sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        File(
            name="t10k-labels-idx1-ubyte.gz",
            size=10_008,
            sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    folder=Path("/usr/share/datasets/fashion-mnist"),
    package="dataset-fashion-mnist",
    # The publisher's server speaks no https; what it sends is used only if its checksum is right.
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)

_DIGITS = Source(
    name="digits",
    description="handwritten digits, small enough for a first try (UCI, as in scikit-learn)",
    shape=(1, 8, 8),
    classes=10,
    train=1_438,
    test=359,
    licence="CC BY 4.0",
    format="digits",
    bundled="remission",
    class_names=tuple("0123456789"),
)

_SHAPES = Source(
    name="shapes",
    description="drawn by this program: objects of five outlines and two textures in clutter",
    shape=(3, 32, 32),
    classes=10,
    train=20_000,
    test=4_000,
    licence="MIT",
    format="shapes",
    bundled="remission",
)

# The binary versions: the Python ones hold pickles, which can run code when they are read. The
# publisher's page gives MD5 sums (c32a1d4ab5d03f1284b67883e8d87530 for CIFAR-10,
# 03b5dce01913d631647c71ecec9e9cb8 for CIFAR-100); the SHA-256 sums are of the files that have them.
_CIFAR10 = Source(
    name="cifar10",
    description="colour photographs of animals and vehicles (Krizhevsky)",
    shape=(3, 32, 32),
    classes=10,
    train=50_000,
    test=10_000,
    licence="none stated",
    format="cifar10",
    archives=(
        Archive(
            name="cifar-10-binary.tar.gz",
            size=170_052_171,
            checksum="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            limit=200_000_000,
            sign="cifar-10-batches-bin/test_batch.bin",
        ),
    ),
    refused=("cifar-10-python.tar.gz", "cifar-10-batches-py"),
    address="https://www.cs.toronto.edu/~kriz/",
)

_CIFAR100 = Source(
    name="cifar100",
    description="colour photographs of a hundred kinds of things (Krizhevsky); the fine labels",
    shape=(3, 32, 32),
    classes=100,
    train=50_000,
    test=10_000,
    licence="none stated",
    format="cifar100",
    archives=(
        Archive(
            name="cifar-100-binary.tar.gz",
            size=168_513_733,
            checksum="sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            limit=200_000_000,
            sign="cifar-100-binary/test.bin",
        ),
    ),
    refused=("cifar-100-python.tar.gz", "cifar-100-python"),
    address="https://www.cs.toronto.edu/~kriz/",
)

# The publisher gives no sums. Torchvision has MD5 sums of the two archives of the test images
# (c7e4e6327067d32654124b0fe9e82185 and fe31e9c9270bbcd7b84b7f21a9d9d9e5); that of the training
# images, and the SHA-256 sums, agree in several independent projects that use these files.
_GTSRB = Source(
    name="gtsrb",
    description="photographs of German traffic signs, resized whole to 32x32 (Stallkamp et al.)",
    shape=(3, 32, 32),
    classes=43,
    train=39_209,
    test=12_630,
    licence="none stated",
    format="gtsrb",
    archives=(
        Archive(
            name="GTSRB_Final_Training_Images.zip",
            size=276_294_756,
            checksum="md5:f33fd80ac59bff73c82d25ab499e03a3",
            limit=1_000_000_000,
            sign="GTSRB/Final_Training/Images",
        ),
        Archive(
            name="GTSRB_Final_Test_Images.zip",
            size=88_978_620,
            checksum="sha256:48ba6fab7e877eb64eaf8de99035b0aaecfbc279bee23e35deca4ac1d0a837fa",
            limit=500_000_000,
            sign="GTSRB/Final_Test/Images",
        ),
        Archive(
            name="GTSRB_Final_Test_GT.zip",
            size=99_620,
            checksum="sha256:f94e5a7614d75845c74c04ddb26b8796b9e483f43541dd95dd5b726504e16d6d",
            limit=4_000_000,
            sign="GT-final_test.csv",
        ),
    ),
    address="https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/",
)

# The publisher gives no sum and knows no https; MD5 90528d7ca1a48142e341f4ef8d21d0de and this
# SHA-256 agree in many independent projects. The published test images have no labels: the
# validation images are used, as everywhere.
_TINY_IMAGENET = Source(
    name="tiny-imagenet",
    description="photographs of 200 classes of ImageNet, 64x64 (Stanford CS231n)",
    shape=(3, 64, 64),
    classes=200,
    train=100_000,
    test=10_000,
    licence="ImageNet's terms: research",
    format="tiny-imagenet",
    archives=(
        Archive(
            name="tiny-imagenet-200.zip",
            size=248_100_043,
            checksum="sha256:6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
            limit=1_000_000_000,
            sign="tiny-imagenet-200/wnids.txt",
        ),
    ),
    address="http://cs231n.stanford.edu/",
)

CATALOGUE: dict[str, Source] = {
    source.name: source
    for source in (_FASHION_MNIST, _CIFAR10, _CIFAR100, _GTSRB, _TINY_IMAGENET, _SHAPES, _DIGITS)
}
"""Every data set that is known by name. Any image folder is a data set too, by its path."""


def find_source(name: str) -> Source:
    """Returns the catalogue's entry of that name.

    Raises:
        DataError: no entry has that name; the message names the closest one.
    """
    if name not in CATALOGUE:
        raise DataError(
            f"unknown data set '{name}'",
            f"{closest(name, CATALOGUE)}, or give an image folder by its path",
        )
    return CATALOGUE[name]
