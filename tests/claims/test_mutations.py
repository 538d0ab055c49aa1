"""Specs and records that were changed at random: an error of one line at most, and never a hang.

``REMISSION_MUTATIONS`` says how many specs are tried (10000); of records a fifth as many.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from remission.errors import UserError
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec
from remission.records import read_records
from remission.records.checking import check_store
from remission.records.reading import parsed
from remission.report.tables.render import render
from tests.unit.grid.small import SPEC

pytestmark = pytest.mark.claims
COUNT = int(os.environ.get("REMISSION_MUTATIONS", "10000"))
LONGEST = 10.0
"""Seconds that one of them may take."""

VALUES = [
    "0", "-1", "1e308", "nan", "inf", "true", '""', '"x"', '"all-to-all"', "[]", "[1, 2]", "{}",
    "99999999999999999999", "0.5", '"\\u0000"', "[[1]]", "{ lr = [0.1] }", "1979-05-27", "[0, 0]",
]  # fmt: skip
"""What comes in the place of a value."""
WORDS = [
    "badnets", "ft", "pam", "retuning", "wanet", "undo", "qra", "bti_dbf", "universal", "sweep",
    "base", "seeds", "target", "budgets", "ensemble", "path", "inversion", "epochs", "lr", "method",
    "trigger",
]  # fmt: skip
"""What comes in the place of a word, or as a new key."""


def mutated(text: str, draws: random.Random) -> str:
    """Changes a text in one to four places."""
    for _ in range(draws.randint(1, 4)):
        text = draws.choice(MUTATIONS)(text, draws)
    return text


def _byte(text: str, draws: random.Random) -> str:
    place = draws.randrange(len(text) + 1)
    return (
        text[:place]
        + chr(draws.choice([0, 9, 34, 39, 44, 61, 91, 93, 0x7F, 0xE9, 0x202E, 0x1F600]))
        + text[place:]
    )


def _cut(text: str, draws: random.Random) -> str:
    place = draws.randrange(len(text) + 1)
    return text[:place] + text[place + draws.randint(1, 20) :]


def _line(text: str, draws: random.Random) -> str:
    lines = text.splitlines()
    here, there = draws.randrange(len(lines)), draws.randrange(len(lines))
    what = draws.randrange(3)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines.insert(there, lines[here])
    else:
        lines[here], lines[there] = lines[there], lines[here]
    return "\n".join(lines) + "\n"


def _value(text: str, draws: random.Random) -> str:
    found = list(re.finditer(r"= (.*)$", text, re.MULTILINE))
    if not found:
        return text
    one = draws.choice(found)
    return text[: one.start(1)] + draws.choice(VALUES) + text[one.end(1) :]


def _word(text: str, draws: random.Random) -> str:
    found = list(re.finditer(r"[a-z_]{2,}", text))
    if not found:
        return text
    one = draws.choice(found)
    return text[: one.start()] + draws.choice(WORDS) + text[one.end() :]


def _key(text: str, draws: random.Random) -> str:
    lines = text.splitlines()
    lines.insert(draws.randrange(len(lines) + 1), f"{draws.choice(WORDS)} = {draws.choice(VALUES)}")
    return "\n".join(lines) + "\n"


MUTATIONS: list[Callable[[str, random.Random], str]] = [_byte, _cut, _line, _value, _word, _key]


def test_specs() -> None:
    accepted = refused = 0
    for number in range(COUNT):
        text, began = mutated(SPEC, random.Random(number)), time.monotonic()
        try:
            plan_of(parse_spec(tomllib.loads(text)))
            accepted += 1
        except (UserError, tomllib.TOMLDecodeError) as error:
            assert len(str(error).splitlines()) == 1 or isinstance(error, tomllib.TOMLDecodeError)
            refused += 1
        except BaseException:
            print(f"mutation {number}:\n{text}")
            raise
        assert time.monotonic() - began < LONGEST, text
    assert accepted > COUNT // 50
    assert refused > COUNT // 4


def test_records(store: Path) -> None:
    """Damaged ones are refused by name; those that are still records are shown."""
    files = sorted(store.glob("records/*/*.json"))
    texts = {file: json.dumps(json.loads(_plain(file)), indent=1) for file in files}
    shown = 0
    for number in range(COUNT // 5):
        draws = random.Random(number)
        file = draws.choice(files)
        text, began = mutated_json(texts[file], draws), time.monotonic()
        try:
            parsed(text.encode(errors="surrogatepass"), file)
        except UserError as error:
            assert len(str(error).splitlines()) == 1
            continue
        file.write_text(text, encoding="utf-8")
        try:
            records = read_records(store)
            for view in ("summary", "cells", "paths", "inversions", "overview"):
                render(records, view, "text")
            check_store(store)
            shown += 1
        except UserError as error:
            assert len(str(error).splitlines()) == 1
        except BaseException:
            print(f"mutation {number} of {file}:\n{text}")
            raise
        finally:
            file.write_text(texts[file], encoding="utf-8")
        assert time.monotonic() - began < LONGEST, text
    assert shown > 0


def _plain(file: Path) -> str:
    """Returns the text of a record without its checksum, as older ones are."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join([lines[0], *lines[2:]])


def mutated_json(text: str, draws: random.Random) -> str:
    """Changes a JSON text in one to three places."""
    values = [
        "0",
        "-1",
        "1e999",
        "null",
        "true",
        '""',
        '"x"',
        "[]",
        "{}",
        "[1, 2]",
        "0.5",
        "NaN",
        "1e308",
    ]
    for _ in range(draws.randint(1, 3)):
        found = list(re.finditer(r": ([^\[\{\n]*?)(,?)$", text, re.MULTILINE))
        if draws.random() < 0.3 or not found:
            text = draws.choice([_byte, _cut, _line])(text, draws)
        else:
            one = draws.choice(found)
            text = text[: one.start(1)] + draws.choice(values) + text[one.end(1) :]
    return text
