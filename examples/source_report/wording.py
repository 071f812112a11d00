"""Figures in words: each is looked up in the statistics, and the page says where it stands there."""

import re
from dataclasses import dataclass
from html import escape
from typing import Any

_BREAK = re.compile(r"(?<=[/_])(?=.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    statistics: dict[str, Any]

    def look_up(self, path: str) -> Any:
        """By a dotted path such as `languages.0.code`."""
        return find_value(self.statistics, path)

    def show(self, path: str, unit: str = "") -> str:
        """The figure with its source, so that an editor can compare the two."""
        value = self.look_up(path)
        return f'<data value="{escape(str(value))}" data-of="{path}">{show_value(value)}</data>{unit}'

    def count(self, path: str, one: str, many: str = "") -> str:
        number = self.look_up(path)
        return f"{self.show(path)} {one if number == 1 else many or one + 's'}"

    def percent(self, path: str) -> str:
        return self.show(path, "%")

    def code(self, path: str) -> str:
        return show_code(self.look_up(path))

    def name(self, path: str) -> str:
        return f'<span class="name">{escape(str(self.look_up(path)))}</span>'


def find_value(statistics: Any, path: str) -> Any:
    """Raises LookupError where the path leads nowhere."""
    value = statistics
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def show_value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def show_code(text: str) -> str:
    """A name out of the tree; long ones may break after a slash or an underscore."""
    return f"<code>{_BREAK.sub('<wbr>', escape(text))}</code>"
