"""The conditions of edges: CEL over `inputs`, `artifacts`, `result` and `error`, compiled once and evaluated exactly.

CEL keeps whole numbers and fractions apart in arithmetic, JSON does not: `result.score * 100` would fail or not with
the digits that an agent happened to print. So where the types of CEL refuse an expression, it is evaluated once more
with every number a fraction; what also fails then is reported with the first reason. Comparing needs none of this.

The library walks through a mapping in another order in each process. Comprehensions therefore walk through its sorted
keys. (`list + mapping`, which CEL does not have, appends keys in that random order: leave it alone.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from services.definitions.cel_library import load_cel

if TYPE_CHECKING:
    import cel

TEXT_MAX = 4_096
"""Longest expression; its parser recurses on some of them, and the length bounds how deep."""

NESTED_MACROS_MAX = 2
"""Most comprehensions inside each other: what they cost multiplies."""

VARIABLES = ("artifacts", "error", "inputs", "result")
MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
FUNCTIONS = MACROS | {
    *("bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"),
    *("contains", "endsWith", "has", "matches", "size", "startsWith"),
    *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
}

_TOKEN = re.compile(
    r"""(?P<text>[bBrR]{0,2}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
      | (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?[uU]?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<comment>//[^\n]*)
      | (?P<sign>[^\s])""",
    re.VERBOSE | re.DOTALL,
)
_IN_ORDER = "_in_order"
_PLAIN_TEXT = re.compile(r"""'[^'\\]*'|"[^"\\]*\"""")


class ExpressionFailed(ValueError):
    """An expression that cannot be compiled, or not be evaluated over these values."""

    def __init__(self, text: str, reason: str) -> None:
        self.text, self.reason = text, reason
        super().__init__(f"the expression `{text}` {reason}")


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `variables` and `functions` are the names that it uses.

    `fields` has for each variable the fields of it that are read, or None where it is used as a whole.
    """

    text: str
    variables: frozenset[str]
    functions: frozenset[str]
    fields: Mapping[str, frozenset[str] | None]
    _program: cel.Program
    _walks: bool  # it has comprehensions

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """Return the value over these JSON values; raises ExpressionFailed and nothing else."""
        values = self._narrow(variables)
        if self._walks:
            values[_IN_ORDER] = _in_order
        try:
            return self._program.execute(values)
        except TypeError as error:
            return _evaluate_widened(self.text, values, error)
        except BaseException as error:
            raise _translated(self.text, error) from error

    def _narrow(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what is not read: handing values over costs far more than evaluating."""
        narrow: dict[str, Any] = {}
        for name, fields in self.fields.items():
            if name not in variables:
                continue
            value = variables[name]
            if isinstance(value, Mapping):
                value = dict(value) if fields is None else {field: value[field] for field in fields if field in value}
            narrow[name] = value
        return narrow

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Return whether a condition holds; raises ExpressionFailed, also when the value is neither true nor false."""
        value = self.evaluate(variables)
        if value is True or value is False:
            return value
        raise ExpressionFailed(self.text, f"gave {_kind(value)}, where true or false is expected")


@lru_cache(maxsize=4_096)
def compile_expression(text: str) -> Expression:
    """Compile an expression; raises ExpressionFailed. The last few thousand are kept."""
    if len(text) > TEXT_MAX:
        raise ExpressionFailed(f"{text[:40]}…", f"has {len(text)} characters, more than {TEXT_MAX}")
    tokens = list(_tokens(text))
    if _macro_depth(tokens) > NESTED_MACROS_MAX:
        raise ExpressionFailed(text, f"has more than {NESTED_MACROS_MAX} comprehensions inside each other")
    program = _compile(text, text)
    variables = frozenset(program.variables()) - (_bound_names(tokens) - set(VARIABLES))
    ordered = "".join(_ordered_tokens(text))
    return Expression(
        text=text,
        variables=variables,
        functions=frozenset(name for name in program.functions() if name.isidentifier() and not name.startswith("_")),
        fields={name: _fields_read(tokens, name) for name in sorted(variables)},
        _program=program if ordered == text else _compile(text, ordered),
        _walks=ordered != text,
    )


def _compile(text: str, source: str) -> cel.Program:
    try:
        return load_cel().compile(source)  # type: ignore[no-any-return]
    except BaseException as error:
        raise _translated(text, error) from error


def _translated(text: str, error: BaseException) -> BaseException:
    """What the library raised, as our one failure. A panic in it counts, an interrupt of the process does not."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        return error
    if isinstance(error, KeyError):
        return ExpressionFailed(text, f"reads the field {error}, which is not there; ask with has() first")
    message = str(error) or type(error).__name__
    syntax = message.partition(": ERROR: <input>:")[2]
    reason = syntax.partition("\n")[0] if syntax else " ".join(message.split())
    return ExpressionFailed(text, f"failed: {reason[:300]}")


def _evaluate_widened(text: str, values: dict[str, Any], first: TypeError) -> Any:
    try:
        return _compile_widened(text).execute(_widen(values))
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise _translated(text, first) from first
        raise


@lru_cache(maxsize=1_024)
def _compile_widened(text: str) -> cel.Program:
    return _compile(text, "".join(_ordered_tokens("".join(_widened_tokens(text)))))


def _widened_tokens(text: str) -> Iterator[str]:
    """Make every whole number a fraction, but for those that count from the start of a list."""
    end, before = 0, ("", "")
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup or "", match.group()
        yield text[end : match.start()]
        is_index = before[1] == "[" and before[0] == "index"
        yield f"{token}.0" if kind == "number" and token.isdigit() and not is_index else token
        if token == "[":
            kind = "index" if before[0] in ("name", "text") or before[1] in (")", "]") else "list"
        end, before = match.end(), (kind, token)
    yield text[end:]


def _ordered_tokens(text: str) -> Iterator[str]:
    """Let each comprehension walk through what it is given in order: `.map(` becomes `._in_order().map(`."""
    tokens = [*_TOKEN.finditer(text)]
    end = 0
    for at, match in enumerate(tokens):
        yield text[end : match.start()]
        follows = [token.group() for token in tokens[at : at + 3]]
        if len(follows) == 3 and follows[0] == "." and follows[1] in MACROS and follows[2] == "(":
            yield f".{_IN_ORDER}()"
        yield match.group()
        end = match.end()
    yield text[end:]


def _in_order(value: Any) -> Any:
    return sorted(value, key=lambda key: (type(key).__name__, key)) if isinstance(value, dict) else value


def _widen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _widen(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_widen(inner) for inner in value]
    return float(value) if type(value) is int else value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "comment":
            yield match.lastgroup or "", match.group()


def _is_macro(tokens: list[tuple[str, str]], at: int) -> bool:
    """Whether a parenthesis opens a comprehension: `.map(` and the like."""
    return at >= 2 and tokens[at][1] == "(" and tokens[at - 1][1] in MACROS and tokens[at - 2][1] == "."


def _macro_depth(tokens: list[tuple[str, str]]) -> int:
    depth = deepest = 0
    opened: list[bool] = []
    for at, (kind, token) in enumerate(tokens):
        if kind == "sign" and token == "(":
            opened.append(_is_macro(tokens, at))
            depth += opened[-1]
            deepest = max(deepest, depth)
        elif kind == "sign" and token == ")" and opened:
            depth -= opened.pop()
    return deepest


def _bound_names(tokens: list[tuple[str, str]]) -> frozenset[str]:
    return frozenset(
        tokens[at + 1][1] for at in range(len(tokens) - 1) if _is_macro(tokens, at) and tokens[at + 1][0] == "name"
    )


def _fields_read(tokens: list[tuple[str, str]], variable: str) -> frozenset[str] | None:
    """Return the fields in `variable.field` and `variable["field"]`, or None if there is any other use of it."""
    padded = [("", ""), *tokens, ("", ""), ("", ""), ("", "")]
    found = set()
    for at in range(1, len(padded) - 3):
        if padded[at] != ("name", variable) or padded[at - 1][1] == ".":
            continue
        (_, sign), (kind, token), (_, after) = padded[at + 1 : at + 4]
        if sign == "." and kind == "name" and after != "(":
            found.add(token)
        elif sign == "[" and kind == "text" and after == "]" and _PLAIN_TEXT.fullmatch(token):
            found.add(token[1:-1])
        else:
            return None
    return frozenset(found)


def _kind(value: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), "nothing" if value is None else f"a {type(value).__name__}")
