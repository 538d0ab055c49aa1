"""Operations of a pickle that build containers, use the memo, and name and call functions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from remission.checkpoints.limits import LINE
from remission.checkpoints.machine import Content, Machine, Meanings, check_key, refuse
from remission.checkpoints.scalars import SCALARS
from remission.checkpoints.values import Opaque, Unbuilt

_SET = 216  # bytes of an empty set
_NEWEST = 5  # protocol of pickles
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # since Python 3


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
    machine.stack.append({})


def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


def _empty_tuple(machine: Machine) -> None:
    machine.stack.append(())


def _empty_set(machine: Machine) -> None:
    machine.meanings.budget.memory(_SET)
    machine.stack.append(set())


def _list(machine: Machine) -> None:
    values = machine.pop_mark()
    machine.stack.append(values)


def _tuple(machine: Machine) -> None:
    values = machine.pop_mark()
    machine.stack.append(tuple(values))


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def build(machine: Machine) -> None:
        if len(machine.stack) < count:
            refuse("takes a value that is not there")
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return build


def _dict(machine: Machine) -> None:
    values = machine.pop_mark()
    machine.stack.append({})
    _assign(machine, values)


def _frozenset(machine: Machine) -> None:
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


def _named(machine: Machine, module: object, name: object) -> object:
    if not (isinstance(module, str) and isinstance(name, str)):
        refuse("names a class by what is no text")
    if len(module) > LINE or len(name) > LINE:
        refuse("names a class by a text that is too long")
    return machine.meanings.named(_RENAMED.get(module, module), name)


def _global(machine: Machine) -> None:
    module = machine.line().decode()
    machine.stack.append(_named(machine, module, machine.line().decode()))


def _stack_global(machine: Machine) -> None:
    name = machine.pop()
    machine.stack.append(_named(machine, machine.pop(), name))


def _call(machine: Machine, function: object, args: object) -> None:
    if not (isinstance(function, Opaque) and isinstance(args, tuple)):
        refuse("calls what is no function")
    machine.stack.append(machine.meanings.called(function, args))


def _reduce(machine: Machine) -> None:
    args = machine.pop()
    _call(machine, machine.pop(), args)


def _new_object_with_keywords(machine: Machine) -> None:
    keywords, args = machine.pop(), machine.pop()
    if not (isinstance(keywords, dict) and isinstance(args, tuple)):
        refuse("calls a class without arguments")
    _call(machine, machine.pop(), (*args, keywords) if keywords else args)


def _inst(machine: Machine) -> None:
    module = machine.line().decode()
    function = _named(machine, module, machine.line().decode())
    args = machine.pop_mark()
    _call(machine, function, tuple(args))


def _obj(machine: Machine) -> None:
    values = machine.pop_mark()
    if not values:
        refuse("calls what is not there")
    _call(machine, values[0], tuple(values[1:]))


def _build(machine: Machine) -> None:
    state, instance = machine.pop(), machine.top()
    if isinstance(instance, Opaque):
        value = machine.meanings.built(instance, state)
        machine.stack[-1] = value
        if isinstance(instance, Unbuilt):
            for place in instance.places:
                machine.memo[place] = value
    elif not isinstance(instance, dict | Tensor):
        # The state of a dict is the versions of a state dict's layers, that of a tensor its hooks.
        refuse("sets the state of a plain value")


def _persistent(machine: Machine) -> None:
    machine.stack.append(machine.meanings.persistent(machine.pop()))


def _protocol(machine: Machine) -> None:
    if machine.number(1) > _NEWEST:
        refuse("has an unknown protocol")


def _frame(machine: Machine) -> None:
    if machine.number(8) > machine.end - machine.position:
        refuse("has a frame that is longer than the pickle")


_OPERATIONS: dict[int, Callable[[Machine], None]] = SCALARS | {
    ord("("): _mark,
    ord("0"): _pop,
    ord("1"): _pop_mark,
    ord("2"): _dup,
    ord("Q"): _persistent,
    ord("R"): _reduce,
    ord("a"): _append,
    ord("b"): _build,
    ord("c"): _global,
    ord("d"): _dict,
    ord("}"): _empty_dict,
    ord("e"): _appends,
    ord("g"): _get,
    ord("h"): _gets(1),
    ord("i"): _inst,
    ord("j"): _gets(4),
    ord("l"): _list,
    ord("]"): _empty_list,
    ord("o"): _obj,
    ord("p"): _put,
    ord("q"): _puts(1),
    ord("r"): _puts(4),
    ord("s"): _set_item,
    ord("t"): _tuple,
    ord(")"): _empty_tuple,
    ord("u"): _set_items,
    0x80: _protocol,
    0x81: _reduce,  # NEWOBJ: without importing anything, it is the same as a call
    0x85: _tuple_of(1),
    0x86: _tuple_of(2),
    0x87: _tuple_of(3),
    0x8F: _empty_set,
    0x90: _add_items,
    0x91: _frozenset,
    0x92: _new_object_with_keywords,
    0x93: _stack_global,
    0x94: _memoize,
    0x95: _frame,
}
_TABLE = [_OPERATIONS.get(code) for code in range(256)]
