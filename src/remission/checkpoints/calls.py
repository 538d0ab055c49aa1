"""Operations of a pickle that name and call classes and functions, and set the state of objects."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from remission.checkpoints.limits import LINE
from remission.checkpoints.machine import Machine, refuse
from remission.checkpoints.values import Opaque, Unbuilt

_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # since Python 3


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
    machine.meanings.budget.container()
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


CALLS: dict[int, Callable[[Machine], None]] = {
    ord("Q"): _persistent,
    ord("R"): _reduce,
    ord("b"): _build,
    ord("c"): _global,
    ord("i"): _inst,
    ord("o"): _obj,
    0x81: _reduce,  # NEWOBJ: without importing anything, it is the same as a call
    0x92: _new_object_with_keywords,
    0x93: _stack_global,
}
"""By the codes of the operations."""
