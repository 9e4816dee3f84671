# SPDX-License-Identifier: BSD-3-Clause
"""Ways to damage a file: its bytes, its lines where it is text, and the values that it holds."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

Named = Iterator[tuple[str, Any]]


class Hostile:
    """What runs a command when it is unpickled by a reader that lets it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harm",)


def bytes_damaged(content: bytes) -> Named:
    """The content cut short, zeroed, overwritten, flipped, lengthened, and exchanged."""
    size = len(content)
    places = sorted({size * i // 5 for i in range(5)} | {min(size - 1, i) for i in (7, 64, 130)} | {size - 1})
    for i, place in enumerate(places):
        yield f"cut after {place}", content[:place]
        if place < size - 16:
            new = (bytes(16), b"\xff" * 16)[i % 2]
            yield f"{new[:1]!r} at {place}", content[:place] + new + content[place + 16 :]
        bit = 1 << i % 8
        yield f"bit {bit} flipped at {place}", content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    yield "cut by 12", content[:-12]
    yield "a hole", content[: size // 3] + content[size // 3 + 5 :]
    yield "half of zeros", content[: size // 2] + bytes(size - size // 2)
    yield "all zeros", bytes(size)
    yield "noise", np.random.default_rng(0).bytes(size)
    yield "noise behind it", content + np.random.default_rng(1).bytes(100)
    yield "twice", content * 2
    yield "a page", b"<html><body>404 Not Found</body></html>\n"


def lines_damaged(content: str) -> Named:
    """A text with lines and words that are not as they should be."""
    lines = content.splitlines(keepends=True)
    middle = len(lines) // 2
    line = lines[middle]
    separator = next((one for one in ":,\t " if one in line), ",")
    words = line.rstrip("\n").split(separator)
    changed = {
        "word missing": words[:-1],
        "first word missing": words[1:],
        "word too many": [*words, words[-1]],
        "no words": [],
        **{f"first word {new!r}": [new, *words[1:]] for new in ("", "x", "nan", "inf", "-1", "1e30", "é", "\0", '"')},
        **{f"last word {new!r}": [*words[:-1], new] for new in ("", "x", "nan", "inf", "-1", "1e30", "0.5", "\0", '"')},
        "swapped words": words[::-1],
    }
    for name, new in changed.items():
        yield name, "".join([*lines[:middle], separator.join(new) + "\n", *lines[middle + 1 :]])
    yield "line missing", "".join(lines[:middle] + lines[middle + 1 :])
    yield "first line missing", "".join(lines[1:])
    yield "only the first line", lines[0]
    yield "one line", content.replace("\n", " ")
    yield "other line ends", content.replace("\n", "\r\n")
    yield "byte order mark", "\ufeff" + content
    yield "empty lines", content.replace("\n", "\n\n")


def values_damaged(value: Any) -> Named:
    """A value with one thing changed somewhere inside: of other types, shapes and numbers, or without a part."""
    for name, new in (("None", None), ("text", "text"), ("hostile", Hostile()), ("number", 3), ("dictionary", {})):
        yield f"is {name}", new
    if isinstance(value, dict):
        inside: list[object] = []  # where several parts are made of the same, one of them is damaged inside
        for key, inner in value.items():
            rest = {k: v for k, v in value.items() if k != key}
            yield f"without {key!r}", rest
            yield f"renamed {key!r}", {**rest, key + key[:1]: inner}
            made_of = [*inner] if isinstance(inner, dict) else key
            if made_of not in inside:
                inside.append(made_of)
                for name, new in values_damaged(inner):
                    yield f"{key!r} {name}", {**value, key: new}
    elif isinstance(value, torch.Tensor):
        for name, new in _array_damaged(value.numpy()):
            if isinstance(new, np.ndarray) and new.dtype.kind in "biufc" and new.dtype.isnative:
                yield name, torch.from_numpy(new.copy())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield from _array_damaged(value)
    elif isinstance(value, np.ndarray):

        def like(items: list[Any]) -> np.ndarray:
            array = np.empty(len(items), dtype=object)
            for i, one in enumerate(items):
                array[i] = one
            return array.reshape(*value.shape[:-1], -1)

        yield from _items_damaged(list(value.ravel()), like)
    elif isinstance(value, list):
        yield from _items_damaged(value, list)


def _array_damaged(array: np.ndarray) -> Named:
    yield "in big-endian", array.astype(array.dtype.newbyteorder(">"))
    yield "column by column", np.asfortranarray(array)
    for kind in ("float64", "int8", "complex64", "str", "object", "bool", "float16", "V4"):
        with np.errstate(all="ignore"), contextlib.suppress(TypeError, ValueError):  # NumPy refuses some
            yield f"as {kind}", array.astype(kind)
    yield "as records", np.zeros(array.shape, dtype=[("a", "f4"), ("b", "O")])
    yield "with an axis more", array[..., None]
    yield "one value", array[(0,) * array.ndim]
    if array.ndim:
        yield "without the last", array[:-1]
        yield "with one more", np.concatenate([array, array[-1:]])
        yield "of none", array[:0]
    if array.ndim > 1:
        yield "flat", array.ravel()
        yield "transposed", array.T
        yield "narrower", array[..., :-1]
        yield "wider", np.concatenate([array, array[..., -1:]], axis=-1)
    places = (0,) * array.ndim, tuple(n - 1 for n in array.shape), tuple(n // 2 for n in array.shape)
    for i, new in enumerate((np.nan, np.inf, -np.inf, 1e300, -1, 0.5, 2**62)):
        wide = array.astype("f8" if isinstance(new, float) or array.dtype.kind == "f" else "i8")
        wide[places[i % 3]] = new
        yield f"with {new} at {places[i % 3]}", wide
    yield "of nan", np.full(array.shape, np.nan)
    yield "of zeros", np.zeros_like(array)


def _items_damaged(items: list[Any], like: Callable[[list[Any]], Any]) -> Named:
    yield "without the last", like(items[:-1])
    yield "with one more", like([*items, items[-1]])
    yield "of none", like([])
    yield "nested", [items]
    yield "as a tuple", tuple(items)
    yield "as a set", {0}
    for new in (None, "x", float("nan"), -1, 2**70, 0.5, [], Hostile()):
        yield f"with {type(new).__name__} {new!s:.5} first", like([new, *items[1:]])
    if isinstance(items[0], np.ndarray):
        for name, new in _array_damaged(items[0]):
            yield f"first {name}", like([new, *items[1:]])
