"""The databases that can hold the read model, PostgreSQL and SQLite, and the quickest way into each."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bus.errors import Refused
from services.audit.tables import FIRST

FORMS = "postgresql://USER@HOST/NAME or sqlite:///PATH"

BUSY_S = 30

CACHE_KIB = 64 * 1024
"""Of SQLite; its indexes are written all over."""

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def open_database(url: str) -> Engine:
    """An engine for `postgresql://…` or `sqlite:///PATH`. Raises Refused for other URLs."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": BUSY_S})
        _begin_explicitly(engine)
        return engine
    return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Refused(f"that names no database; right would be {FORMS}") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres", "sqlite") or not parsed.database:
        raise Refused(f"{parsed.render_as_string()!r} names no database; right would be {FORMS}")
    return parsed


def _begin_explicitly(engine: Engine) -> None:
    """Python's driver would commit before what it takes for the end of a transaction."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def show_url(engine: Engine) -> str:
    """Where an engine leads, without the password."""
    return engine.url.render_as_string(hide_password=True)


# Rows.

Row = Sequence[Any]
"""Values in the order of `columns_of`; JSON as text."""


@functools.cache
def columns_of(table: Table) -> tuple[Column[Any], ...]:
    """The columns that are written; the others are computed."""
    return tuple(column for column in table.columns if column.computed is None)


def rows_of(table: Table, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows with what is set, in plain values, and nothing else."""
    names = [column.name for column in columns_of(table)]
    return [[row.get(name) for name in names] for row in rows]


def plain(value: Any) -> Any:
    """A value as both databases take it; neither takes the character that ends strings in C."""
    kind = type(value)
    if kind is str:
        return value if "\0" not in value else value.replace("\0", "\ufffd")
    if value is None or kind is int or kind is bool or kind is float:
        return value
    return json_text(json.dumps(value, ensure_ascii=False))


def json_text(text: str) -> str:
    """JSON that PostgreSQL takes too."""
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


class Writer(Protocol):
    """Writes rows on a connection, in its transaction."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Add rows that are not there yet."""
        ...

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Add these rows, or set what they set of those that are there. No two are the same row."""
        ...


def writer_for(engine: Engine) -> Writer:
    """The writer of a database."""
    return SqliteWriter() if engine.dialect.name == "sqlite" else PostgresWriter()


class SqliteWriter:
    """Many rows through one prepared statement."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        connection.exec_driver_sql(_insert(table), [tuple(row) for row in rows])

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        connection.exec_driver_sql(f"{_insert(table)} {_on_conflict(table)}", [tuple(row) for row in rows])


class PostgresWriter:
    """COPY, into the table itself or into one beside it that is merged in one statement."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        self._copy(connection, table.name, table, rows)

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        beside = f"new_{table.name}"
        connection.exec_driver_sql(
            f'CREATE TEMP TABLE IF NOT EXISTS "{beside}" ON COMMIT DELETE ROWS AS '
            f"SELECT {_names(table)} FROM {_quoted(table.name)} WHERE false"
        )
        self._copy(connection, beside, table, rows)
        connection.exec_driver_sql(
            f"INSERT INTO {_quoted(table.name)} ({_names(table)}) "
            f"SELECT {_names(table)} FROM {_quoted(beside)} {_on_conflict(table)}"
        )

    @staticmethod
    def _copy(connection: Connection, name: str, table: Table, rows: Iterable[Row]) -> None:
        driver: Any = connection.connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {_quoted(name)} ({_names(table)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)


def _insert(table: Table) -> str:
    marks = ", ".join("?" * len(columns_of(table)))
    return f"INSERT INTO {_quoted(table.name)} ({_names(table)}) VALUES ({marks})"


def _on_conflict(table: Table) -> str:
    """A column that a row does not set keeps its value, and so does one that keeps its first."""
    keys = ", ".join(_quoted(column.name) for column in table.primary_key)
    settings = ", ".join(_settings(table))
    return f"ON CONFLICT ({keys}) DO " + (f"UPDATE SET {settings}" if settings else "NOTHING")


def _settings(table: Table) -> Iterator[str]:
    for column in columns_of(table):
        if not column.primary_key:
            name = _quoted(column.name)
            old, new = f"{_quoted(table.name)}.{name}", f"excluded.{name}"
            first, second = (old, new) if column.info.get(FIRST) else (new, old)
            yield f"{name} = COALESCE({first}, {second})"


def _names(table: Table) -> str:
    return ", ".join(_quoted(column.name) for column in columns_of(table))


def _quoted(name: str) -> str:
    return f'"{name}"'
