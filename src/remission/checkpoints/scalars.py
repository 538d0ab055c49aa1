"""Operations of a pickle that push numbers, text and bytes."""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable

from remission.checkpoints.limits import INTEGER, LINE
from remission.checkpoints.machine import Machine, refuse

_FLOAT = struct.Struct(">d")
_WIDE = re.compile(rb"[\xc4-\xff]")  # begins a character behind U+00FF in UTF-8


def _pushes(value: object) -> Callable[[Machine], None]:
    def push(machine: Machine) -> None:
        machine.stack.append(value)

    return push


def _unsigned(count: int) -> Callable[[Machine], None]:
    def push(machine: Machine) -> None:
        machine.stack.append(machine.number(count))

    return push


def _bytes(count: int, *, signed: bool = False) -> Callable[[Machine], bytes]:
    """Returns what reads bytes behind their length, which takes ``count`` bytes itself."""

    def read(machine: Machine) -> bytes:
        length = int.from_bytes(machine.take(count), "little", signed=signed)
        return machine.take(length)

    return read


def _pushes_bytes(count: int) -> Callable[[Machine], None]:
    read = _bytes(count)

    def push(machine: Machine) -> None:
        machine.stack.append(read(machine))

    return push


def _pushes_text(count: int) -> Callable[[Machine], None]:
    read = _bytes(count)

    def push(machine: Machine) -> None:
        machine.stack.append(_text(machine, read(machine)))

    return push


def _pushes_string(count: int) -> Callable[[Machine], None]:
    """Returns what pushes text that Python 2 wrote, or bytes where it is no UTF-8."""
    read = _bytes(count, signed=count > 1)

    def push(machine: Machine) -> None:
        machine.stack.append(_text_or_bytes(machine, read(machine)))

    return push


def _pushes_long(count: int) -> Callable[[Machine], None]:
    read = _bytes(count, signed=count > 1)

    def push(machine: Machine) -> None:
        content = read(machine)
        if len(content) > INTEGER:
            refuse(f"holds an integer of more than {INTEGER} bytes")
        machine.stack.append(int.from_bytes(content, "little", signed=True))

    return push


def _bin_int(machine: Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(4), "little", signed=True))


def _bin_float(machine: Machine) -> None:
    machine.stack.append(_FLOAT.unpack(machine.take(8))[0])


def _int(machine: Machine) -> None:
    line = machine.line(2 * INTEGER)
    booleans = {b"00": False, b"01": True}
    machine.stack.append(booleans[line] if line in booleans else int(line))


def _long(machine: Machine) -> None:
    machine.stack.append(int(machine.line(2 * INTEGER).removesuffix(b"L")))


def _float(machine: Machine) -> None:
    machine.stack.append(float(machine.line()))


def _string(machine: Machine) -> None:
    line = machine.line(machine.end)
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        refuse("holds text without quotation marks")
    machine.stack.append(_text_or_bytes(machine, codecs.escape_decode(line[1:-1])[0]))


def _unicode(machine: Machine) -> None:
    line = machine.line(machine.end)
    _weigh(machine, line, 4)
    machine.stack.append(line.decode("raw-unicode-escape"))


def _text_or_bytes(machine: Machine, content: bytes) -> str | bytes:
    try:
        return _text(machine, content)
    except UnicodeDecodeError:
        return content


def _text(machine: Machine, content: bytes) -> str:
    """Decodes UTF-8. One wide character makes all others of a text take 4 bytes as well."""
    if len(content) > LINE:
        _weigh(machine, content, 4 if _WIDE.search(content) else 1)
    return content.decode()


def _weigh(machine: Machine, content: bytes, width: int) -> None:
    """Counts the memory of text beside that of the bytes it was written in."""
    machine.meanings.budget.memory((width - 1) * len(content))


SCALARS: dict[int, Callable[[Machine], None]] = {
    ord("F"): _float,
    ord("G"): _bin_float,
    ord("I"): _int,
    ord("J"): _bin_int,
    ord("K"): _unsigned(1),
    ord("L"): _long,
    ord("M"): _unsigned(2),
    ord("N"): _pushes(None),
    ord("S"): _string,
    ord("T"): _pushes_string(4),
    ord("U"): _pushes_string(1),
    ord("V"): _unicode,
    ord("X"): _pushes_text(4),
    ord("B"): _pushes_bytes(4),
    ord("C"): _pushes_bytes(1),
    0x88: _pushes(True),
    0x89: _pushes(False),
    0x8A: _pushes_long(1),
    0x8B: _pushes_long(4),
    0x8C: _pushes_text(1),
    0x8D: _pushes_text(8),
    0x8E: _pushes_bytes(8),
    0x96: _pushes_bytes(8),  # a bytearray
}
"""By the codes of the operations."""
