"""Operations of a pickle that build containers and use the memo, and the table of all."""

from __future__ import annotations

from collections.abc import Callable

from remission.checkpoints.calls import CALLS
from remission.checkpoints.machine import Content, Machine, Meanings, check_key, refuse
from remission.checkpoints.scalars import SCALARS
from remission.checkpoints.values import Opaque, Unbuilt

_SET = 216  # bytes of an empty set
_NEWEST = 5  # protocol of pickles


def walk(content: Content, start: int, end: int, meanings: Meanings) -> tuple[object, int]:
    """Returns the value of a pickle, and where the pickle ends.

    Args:
        content: holds the pickle.
        start: where it begins.
        end: behind its last possible byte.
        meanings: gives values to names and calls.

    Raises:
        Refusal: the pickle is damaged, or does what no checkpoint needs.
    """
    machine = Machine(content, start, end, meanings)
    return machine.run(_TABLE), machine.position


def _mark(machine: Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.top())


def _empty_dict(machine: Machine) -> None:
    machine.meanings.budget.container()
    machine.stack.append({})


def _empty_list(machine: Machine) -> None:
    machine.meanings.budget.container()
    machine.stack.append([])


def _empty_tuple(machine: Machine) -> None:
    machine.stack.append(())


def _empty_set(machine: Machine) -> None:
    machine.meanings.budget.container()
    machine.meanings.budget.memory(_SET)
    machine.stack.append(set())


def _list(machine: Machine) -> None:
    machine.meanings.budget.container()
    values = machine.pop_mark()
    machine.stack.append(values)


def _tuple(machine: Machine) -> None:
    machine.meanings.budget.container()
    values = machine.pop_mark()
    machine.stack.append(tuple(values))


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def build(machine: Machine) -> None:
        machine.meanings.budget.container()
        if len(machine.stack) < count:
            refuse("takes a value that is not there")
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return build


def _dict(machine: Machine) -> None:
    machine.meanings.budget.container()
    values = machine.pop_mark()
    machine.stack.append({})
    _assign(machine, values)


def _frozenset(machine: Machine) -> None:
    machine.meanings.budget.container()
    values = machine.pop_mark()
    machine.meanings.budget.memory(_SET)
    for value in values:
        check_key(value, machine.meanings.budget)
    machine.stack.append(frozenset(values))


def _append(machine: Machine) -> None:
    value = machine.pop()
    _extend(machine, [value])


def _appends(machine: Machine) -> None:
    _extend(machine, machine.pop_mark())


def _extend(machine: Machine, values: list[object]) -> None:
    whole = machine.top()
    if isinstance(whole, list):
        whole.extend(values)
    elif isinstance(whole, Opaque):
        whole.items = whole.items or []
        whole.items.extend(values)
    else:
        refuse("appends to what is no list")


def _set_item(machine: Machine) -> None:
    value = machine.pop()
    _assign(machine, [machine.pop(), value])


def _set_items(machine: Machine) -> None:
    _assign(machine, machine.pop_mark())


def _assign(machine: Machine, values: list[object]) -> None:
    whole, budget = machine.top(), machine.meanings.budget
    if isinstance(whole, Opaque):
        whole.entries = whole.entries or {}
        whole = whole.entries
    if not isinstance(whole, dict) or len(values) % 2:
        refuse("assigns to what is no dict, or a key without a value")
    for at in range(0, len(values), 2):
        key = values[at]
        check_key(key, budget)
        whole[key] = values[at + 1]


def _add_items(machine: Machine) -> None:
    values, whole = machine.pop_mark(), machine.top()
    if isinstance(whole, Opaque):
        _extend(machine, values)
        return
    if not isinstance(whole, set):
        refuse("adds to what is no set")
    for value in values:
        check_key(value, machine.meanings.budget)
    whole.update(values)


def _put_at(machine: Machine, index: int) -> None:
    value = machine.top()
    if type(value) is Unbuilt:
        value.places.append(index)
    machine.memo[index] = value


def _get_from(machine: Machine, index: int) -> None:
    try:
        machine.stack.append(machine.memo[index])
    except KeyError:
        refuse("uses a value that it has not stored")


def _put(machine: Machine) -> None:
    _put_at(machine, int(machine.line(20)))


def _get(machine: Machine) -> None:
    _get_from(machine, int(machine.line(20)))


def _puts(count: int) -> Callable[[Machine], None]:
    def put(machine: Machine) -> None:
        _put_at(machine, machine.number(count))

    return put


def _gets(count: int) -> Callable[[Machine], None]:
    def get(machine: Machine) -> None:
        _get_from(machine, machine.number(count))

    return get


def _memoize(machine: Machine) -> None:
    _put_at(machine, len(machine.memo))


def _protocol(machine: Machine) -> None:
    if machine.number(1) > _NEWEST:
        refuse("has an unknown protocol")


def _frame(machine: Machine) -> None:
    if machine.number(8) > machine.end - machine.position:
        refuse("has a frame that is longer than the pickle")


_OPERATIONS: dict[int, Callable[[Machine], None]] = (
    SCALARS
    | CALLS
    | {
        ord("("): _mark,
        ord("0"): _pop,
        ord("1"): _pop_mark,
        ord("2"): _dup,
        ord("a"): _append,
        ord("d"): _dict,
        ord("}"): _empty_dict,
        ord("e"): _appends,
        ord("g"): _get,
        ord("h"): _gets(1),
        ord("j"): _gets(4),
        ord("l"): _list,
        ord("]"): _empty_list,
        ord("p"): _put,
        ord("q"): _puts(1),
        ord("r"): _puts(4),
        ord("s"): _set_item,
        ord("t"): _tuple,
        ord(")"): _empty_tuple,
        ord("u"): _set_items,
        0x80: _protocol,
        0x85: _tuple_of(1),
        0x86: _tuple_of(2),
        0x87: _tuple_of(3),
        0x8F: _empty_set,
        0x90: _add_items,
        0x91: _frozenset,
        0x94: _memoize,
        0x95: _frame,
    }
)
_TABLE = [_OPERATIONS.get(code) for code in range(256)]
