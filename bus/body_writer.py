"""Bodies to Avro's binary encoding, by a function made for each record type.

fastavro walks the schema for every record and tries the branches of a union one after the other; a function that was
made from the annotations knows all that beforehand, and takes a third of the time. It builds one `str` in which each
character stands for a byte (Latin-1), because joining texts and encoding them once is the cheapest that Python offers:
what is ASCII is its own encoding.
"""

from __future__ import annotations

import struct
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from bus.record import Value

_LONG_MAX = 2**63


def _varint(number: int) -> str:
    """A long as Avro writes it: zigzag, seven bits a byte, the lowest first."""
    if not -_LONG_MAX <= number < _LONG_MAX:
        raise OverflowError(f"{number} has no place in 64 bits")
    left, characters = number << 1 if number >= 0 else ~(number << 1), []
    while left > 127:
        characters.append(chr(left & 127 | 128))
        left >>= 7
    return "".join((*characters, chr(left)))


class _Longs(dict[int, str]):
    """Encodings of longs; those of lengths and small numbers are kept."""

    def __missing__(self, number: int) -> str:
        return _varint(number)


_LONGS = _Longs({number: _varint(number) for number in range(-64, 2048)})


def _wide(text: str) -> str:
    """A text as the characters of its UTF-8."""
    return text if text.isascii() else text.encode().decode("latin-1")


def _text(text: str) -> str:
    found = _wide(text)
    return _LONGS[len(found)] + found


def _double(number: float) -> str:
    return struct.pack("<d", number).decode("latin-1")


def writer_of(kind: type[Value]) -> Callable[[Any], bytes]:
    """A function from a record to its body. It raises OverflowError or ValueError for what has no encoding."""
    namespace: dict[str, Any] = {"longs": _LONGS, "wide": _wide, "text": _text, "double": _double, "join": "".join}
    write = _Writers(namespace).group(kind)
    # Made of names of fields and of nothing else, so that no input ever becomes code.
    exec(f"def body(record): return {write}(record).encode('latin-1')", namespace)  # noqa: S102
    made: Callable[[Any], bytes] = namespace["body"]
    return made


class _Writers:
    """Functions by the name of their group, made once each."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._names: dict[type[Value], str] = {}
        self._collections = 0

    def group(self, kind: type[Value]) -> str:
        """The name of the function that writes a group of fields."""
        if kind not in self._names:
            name = self._names[kind] = f"write_{len(self._names)}_{kind.__name__}"
            exec(self._source(name, kind), self._namespace)  # noqa: S102 — see writer_of
        return self._names[kind]

    def _source(self, name: str, kind: type[Value]) -> str:
        annotations = {f"v{index}": info.annotation for index, info in enumerate(kind.model_fields.values())}
        lines = [f"def {name}(record):", " fields = record.__dict__"]
        lines += [
            f" {variable} = fields[{field!r}]" for variable, field in zip(annotations, kind.model_fields, strict=True)
        ]
        # One look at all texts together: most records are ASCII throughout.
        if texts := [variable for variable, annotation in annotations.items() if annotation is str]:
            lines.append(f" if not join(({', '.join(texts)},)).isascii():")
            lines += [f"  {text} = wide({text})" for text in texts]
        pieces = [self._piece(variable, annotation) for variable, annotation in annotations.items()]
        lines.append(f" return join(({', '.join(pieces)},))" if pieces else " return ''")
        return "\n".join(lines)

    def _piece(self, variable: str, annotation: Any) -> str:
        """An expression, or two with a comma between, for the encoding of a variable whose text is Latin-1 already."""
        if annotation is str:
            return f"longs[len({variable})], {variable}"
        return self._expression(variable, annotation)

    def _expression(self, variable: str, annotation: Any) -> str:
        """An expression for the encoding of a variable."""
        simple = {
            int: "longs[{0}]",
            bool: "'\\1' if {0} else '\\0'",
            float: "double({0})",
            str: "text({0})",
            bytes: "longs[len({0})] + {0}.decode('latin-1')",
        }
        if annotation in simple:
            return simple[annotation].format(variable)
        if isinstance(annotation, type) and issubclass(annotation, Value):
            return f"{self.group(annotation)}({variable})"
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            inner = arguments[0] if arguments[1] is type(None) else arguments[1]
            return f"'\\0' if {variable} is None else '\\2' + ({self._expression(variable, inner)})"
        return f"{self._collection(origin, arguments)}({variable}) if {variable} else '\\0'"

    def _collection(self, origin: Any, arguments: tuple[Any, ...]) -> str:
        """The name of a function that writes a collection with something in it, as one block."""
        self._collections += 1
        name = f"write_collection_{self._collections}"
        if origin is Mapping:
            key, value = self._expression("key", str), self._expression("value", arguments[1])
            items = f"[{key} + ({value}) for key, value in items.items()]"
        else:
            items = f"[{self._expression('item', arguments[0])} for item in items]"
        source = f"def {name}(items): return longs[len(items)] + join({items}) + '\\0'"
        exec(source, self._namespace)  # noqa: S102 — see writer_of
        return name
