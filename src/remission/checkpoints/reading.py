"""Files of unknown origin: what kind they are is decided by their content, never by their names."""

from __future__ import annotations

import mmap
import stat
from pathlib import Path

from remission.checkpoints.legacy import read_legacy
from remission.checkpoints.limits import DAMAGED, RESAVE, Budget, Refusal
from remission.checkpoints.nesting import check_nesting
from remission.checkpoints.tensor_file import is_safetensors, read_safetensors
from remission.checkpoints.values import Loaded
from remission.checkpoints.zipped import read_zipped
from remission.errors import CheckpointError

_UNPACK = "unpack it and give the checkpoint inside"
_DOWNLOAD = "download the file itself again"
_ANOTHER = "give a file that torch.save or safetensors wrote"
_KNOWN = [
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", _UNPACK),
    (b"Rar!", "is a RAR archive", _UNPACK),
    (b"\x1f\x8b", "is compressed by gzip", _UNPACK),
    (b"BZh", "is compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ", "is compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", _UNPACK),
    (b"PK\5\6", "is an empty zip archive", _DOWNLOAD),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file", "run: git lfs pull"),
    (b"<", "is a web page, maybe of a failed download", _DOWNLOAD),
    (b"\x89HDF", "is an HDF5 file", _ANOTHER),
    (b"\x93NUMPY", "is an array of numpy", _ANOTHER),
    (b"\x89PNG", "is a picture", _ANOTHER),
    (b"\xff\xd8\xff", "is a picture", _ANOTHER),
    (b"GGUF", "is a GGUF file", _ANOTHER),
]
"""How files begin that people have by mistake, what they are, and what to do."""


def read_checkpoint(path: Path) -> Loaded:
    """Reads a checkpoint without importing or executing anything that it names.

    It reads safetensors and both formats of torch.save, the present one and that before version
    1.6. The content decides, not
    the name. Pickles are walked through with stand-ins for all classes and functions but those of
    tensors, plain containers, and numbers and arrays of numpy.

    Args:
        path: the file.

    Raises:
        CheckpointError: it is missing, damaged, of another kind, or it would take more operations,
            memory or nesting than a checkpoint needs.
    """
    try:
        return _read(path)
    except Refusal as refusal:
        raise CheckpointError(f"'{path}' {refusal.problem}", refusal.remedy) from None
    except FileNotFoundError:
        raise CheckpointError(f"there is no file '{path}'", "check its path") from None
    except OSError as error:
        problem = f"'{path}' cannot be read ({error.strerror or error})"
        raise CheckpointError(problem, "check its path and its permissions") from None
    except Exception as error:  # whatever a damaged file provokes
        text = " ".join(str(error).split())[:200]
        problem = f"'{path}' is damaged ({type(error).__name__}: {text})"
        raise CheckpointError(problem, DAMAGED) from None


def _read(path: Path) -> Loaded:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Refusal("is a folder", "give the file in it that holds the weights")
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("is no file but a device or a pipe", "copy it into a file")
    if status.st_size == 0:
        raise Refusal("is empty", DAMAGED)
    content = _mapped(path)
    budget = Budget(len(content))
    if content[:4] == b"PK\3\4":
        loaded = Loaded(read_zipped(content, budget), "zip")
    elif content[:1] == b"\x80" or content[:6] == b"L11954":
        loaded = Loaded(read_legacy(content, budget), "legacy")
    elif is_safetensors(content):
        tensors, metadata = read_safetensors(content, path, budget)
        loaded = Loaded(tensors, "safetensors", metadata)
    else:
        raise _unknown(content)
    check_nesting(loaded.tree)
    return loaded


def _mapped(path: Path) -> mmap.mmap:
    """Maps a file privately: tensors in it can be written to, and the file does not change."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


def _unknown(content: mmap.mmap) -> Refusal:
    """Returns what to say about a file that is none of ours."""
    beginning = content[:512].removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, problem, remedy in _KNOWN:
        if beginning.startswith(mark):
            return Refusal(problem, remedy)
    if content[257:262] == b"ustar":
        return Refusal(
            "is a tar archive, as torch.save wrote before 0.1.12",
            "unpack it, or, where you trust it, load it and save it again by a newer torch",
        )
    if beginning[:1] in (b"{", b"["):
        return Refusal("is a text in JSON", _ANOTHER)
    return Refusal("is no checkpoint: neither safetensors nor written by torch.save", RESAVE)
