"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence


def print_json(value: object) -> None:
    """One line of JSON."""
    print_line(json.dumps(value, ensure_ascii=False))


def print_line(text: str = "") -> None:
    """One line of a result."""
    print(text, flush=True)


def tell(text: str) -> None:
    """One line for a person, beside the result."""
    print(text, file=sys.stderr, flush=True)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need; nothing is cut off, so that other programs can read it too."""
    cells = [tuple(heads), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_line(line.rstrip())


def print_rows(rows: Sequence[Mapping[str, object]], heads: Sequence[str], as_json: bool) -> None:
    """Lines of JSON, or the columns of these names as a table."""
    if as_json:
        for row in rows:
            print_json(row)
    elif rows:
        print_table([head.upper().replace("_", " ") for head in heads], [_cells(row, heads) for row in rows])


def _cells(row: Mapping[str, object], heads: Sequence[str]) -> list[object]:
    return ["-" if row[head] in (None, "") else row[head] for head in heads]


def say_time(ms: object) -> str:
    """A Unix time in milliseconds as a person here reads it."""
    from datetime import UTC, datetime

    return (
        datetime.fromtimestamp(ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S") if isinstance(ms, int) else ""
    )


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Let what the system logs be seen; of libraries only warnings."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True)
    for ours in ("bus", "services"):
        logging.getLogger(ours).setLevel(level)
    # What it cannot do it raises, and the Kafka log says so in its own words; the rest it tries again by itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
