"""What a file of unknown origin may cost: operations, memory, tensors and seconds.

All limits but the time are counts, so that a file is refused or read alike on every computer.
"""

from __future__ import annotations

import time

OPERATIONS = 6_000_000
"""Operations of a pickle. A poisoned set of 60,000 images in memory takes 2.3 million."""
MEMORY = 1 << 30
"""Bytes that the values of a pickle and the copies of archives' storages may take. Tensors that
stay in the file are free."""
VALUE = 384 << 20
"""Bytes of one text or of the bytes of one array, which for a moment are in memory twice."""
TENSORS = 200_000
MODULES = 20_000
"""Modules of a network that was pickled whole, each as often as it is used. A DenseNet has 500."""
CONTAINERS = 2_000_000
"""Lists, tuples, dicts, sets and stand-ins. 60,000 images in memory take about 500,000."""
EXPANDED = 20_000_000
"""Values in the tree if each reference to the same container is counted again."""
NESTING = 300
"""Containers inside each other. Python's own recursion ends at 1,000."""
ENTRIES = 100_000
"""Entries of an archive."""
SECONDS = 120.0
LINES = 1_000_000
"""Lines of text among the operations; what torch.save writes has two per class."""
INTEGER = 256
"""Bytes of an integer. Python refuses to print one of 1,800 bytes."""
LINE = 1 << 12
"""Bytes of a name or of a number that is written as text."""
KEY = 4096
"""Characters of a key: comparing long keys again and again takes long."""
ODD_KEYS = 10_000
"""Keys that are neither text nor small integers: somebody can choose those whose hashes agree."""
DIMENSIONS = 32
LARGEST = 1 << 62
"""Sizes, strides and offsets stay below it, so that no sum or product in torch overflows."""

_OPERATION = 64  # bytes that the value of one operation takes, about
_SPARE = 64 << 20  # bytes of tensors that any file may describe

DAMAGED = "copy it again from where it came"
RESAVE = "where you trust it, save its state_dict() by torch.save or as safetensors"


class Refusal(Exception):  # noqa: N818 (it is no error of this program)
    """The file is refused.

    Args:
        problem: what is wrong with it: the rest of a sentence that begins with the file.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str = DAMAGED) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


class Budget:
    """What the reading of one file has cost until now.

    Args:
        size: bytes of the file. Its tensors may describe 4 times as many, since tensors share
            storages.
    """

    def __init__(self, size: int) -> None:
        self._operations = OPERATIONS
        self._memory = MEMORY
        self._tensors = TENSORS
        self._described = 4 * size + _SPARE
        self._odd_keys = ODD_KEYS
        self._lines = LINES
        self._containers = CONTAINERS
        self._deadline = time.monotonic() + SECONDS

    def operations(self, count: int) -> None:
        """Counts operations of a pickle.

        Raises:
            Refusal: there are too many, or they took too long.
        """
        self._operations -= count
        if self._operations < 0:
            raise Refusal(f"holds a pickle of more than {OPERATIONS} operations", RESAVE)
        if time.monotonic() > self._deadline:
            raise Refusal(f"takes more than {SECONDS:.0f} seconds to read", RESAVE)
        self.memory(count * _OPERATION)

    def memory(self, count: int) -> None:
        """Counts bytes that are allocated.

        Raises:
            Refusal: there are too many.
        """
        self._memory -= count
        if self._memory < 0:
            raise Refusal(
                f"would take more than {MEMORY >> 20} MiB beside its tensors once it is unpacked",
                RESAVE,
            )

    def tensor(self, count: int) -> None:
        """Counts a tensor of ``count`` bytes.

        Raises:
            Refusal: there are too many tensors, or too many bytes.
        """
        self._tensors -= 1
        self._described -= count
        if self._tensors < 0:
            raise Refusal(f"holds more than {TENSORS} tensors", RESAVE)
        if self._described < 0:
            raise Refusal("describes tensors that are much larger than the file", RESAVE)

    def container(self) -> None:
        """Counts a list, tuple, dict, set or stand-in.

        Raises:
            Refusal: there are too many.
        """
        self._containers -= 1
        if self._containers < 0:
            raise Refusal(f"holds more than {CONTAINERS} lists, dicts and objects", RESAVE)

    def line(self) -> None:
        """Counts a line of text.

        Raises:
            Refusal: there are too many.
        """
        self._lines -= 1
        if self._lines < 0:
            raise Refusal(f"holds a pickle of more than {LINES} lines of text", RESAVE)

    def odd_key(self) -> None:
        """Counts a key that is neither text nor a small integer.

        Raises:
            Refusal: there are too many.
        """
        self._odd_keys -= 1
        if self._odd_keys < 0:
            raise Refusal(f"holds more than {ODD_KEYS} keys that are no text", RESAVE)
