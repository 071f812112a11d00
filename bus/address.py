"""Opens the log that a URL names; only then is its client library loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from bus.access import OPTIONS, Access
from bus.assignment import Assignment, StaticAssignment
from bus.channel import NAMESPACE_DEFAULT
from bus.errors import Refused
from bus.log import Log

if TYPE_CHECKING:
    from bus.codec import Codec

FORMS = "sqlite:///PATH or kafka://HOST:PORT[,HOST:PORT], either with ?namespace=NAME&partitions=COUNT"

_COUNTS = {"sqlite": ("partitions",), "kafka": ("partitions", "replication")}
_WORDS = {"sqlite": ("namespace",), "kafka": ("namespace", *OPTIONS)}
_SERVERS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:,@\[\]]+):[0-9]{1,5}(,(\[[0-9A-Fa-f:.]+\]|[^\s:,@\[\]]+):[0-9]{1,5})*")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


async def open_log(url: str, *, access: Access | None = None, codec: Codec | None = None, **options: Any) -> Log:
    """Open `sqlite:///PATH` (what follows the third slash is the path) or `kafka://HOST:PORT[,HOST:PORT]`.

    The URL's query may give `namespace`, `partitions` and, for Kafka, `replication` and what `bus.access.OPTIONS`
    lists; `access` and `options` are the same, with less weight, and what else SqliteLog.open or KafkaLog.connect
    takes. With a schema registry, `codec` writes as that says from here on. Raises what they raise; Refused for other
    URLs.
    """
    split = _split(url)
    options = _options(url, split, options)
    if split.scheme == "sqlite":
        return await _open_sqlite(_path(url, split), options)
    return await _open_kafka(_servers(url, split), _access(split, access), codec, options)


async def view_log(url: str, *, access: Access | None = None, codec: Codec | None = None, **options: Any) -> Log:
    """Open a log that is there to read from it, also beside the process that owns it; takes what `open_log` takes.

    Raises Unavailable or Refused where there is none.
    """
    split = _split(url)
    options = _options(url, split, options)
    if split.scheme == "sqlite":
        from bus.backends.sqlite_view import SqliteView

        return await SqliteView.open(_path(url, split), **options)
    return await _open_kafka(_servers(url, split), _access(split, access), codec, {**options, "make": False})


async def join_group(log: Log, service: str) -> Assignment:
    """The partition numbers that this process should own for a service: all, or its share where many have the log."""
    if isinstance(log, _Shared):
        return await log.group(service)
    return StaticAssignment(range(log.partitions))


@runtime_checkable
class _Shared(Protocol):
    """A log whose owners are found by a group."""

    async def group(self, name: str) -> Assignment: ...


async def _open_sqlite(path: str, options: Mapping[str, Any]) -> Log:
    from bus.backends.sqlite import SqliteLog

    return await SqliteLog.open(path, **options)


async def _open_kafka(servers: str, access: Access, codec: Codec | None, options: Mapping[str, Any]) -> Log:
    try:
        from bus.backends.kafka import KafkaLog
    except ModuleNotFoundError as error:
        raise Refused(f"Kafka needs {error.name}: pip install openclaw-x[kafka]") from error
    registry = access.registry_settings() if codec else None
    log = await KafkaLog.connect(servers, security=access.security(), **options)
    if codec is None or registry is None:
        return log
    from bus.schema_learning import LearningLog

    return await LearningLog.open(log, codec, registry, writes=options.get("make", True))


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
    except ValueError as error:
        raise _refused(url) from error
    if "@" in split.netloc or any("password" in name for name, _ in parse_qsl(split.query)):
        raise Refused("a log's URL, which many can read, has no place for a password; see CLAWX_KAFKA_PASSWORD_FILE")
    if split.scheme not in _COUNTS or split.fragment:
        raise _refused(url)
    return split


def _options(url: str, split: SplitResult, options: Mapping[str, Any]) -> dict[str, Any]:
    options = {"namespace": NAMESPACE_DEFAULT, **options, **_counts(url, split)}
    if not _NAMESPACE.fullmatch(options["namespace"]):
        raise Refused(f"{options['namespace']!r} is no namespace: letters, digits, `.`, `_` and `-`, at most 200")
    return options


def _counts(url: str, split: SplitResult) -> dict[str, Any]:
    """Namespace and counts of the query, which has no other options than those known."""
    given: dict[str, Any] = {}
    counts, words = _COUNTS[split.scheme], _WORDS[split.scheme]
    for name, value in parse_qsl(split.query, keep_blank_values=True):
        if name not in words and name not in counts:
            raise Refused(f"{url!r} has an unknown option {name!r}; known are {', '.join((*words, *counts))}")
        if name in counts and not re.fullmatch("[1-9][0-9]{0,3}", value):
            raise Refused(f"{url!r} has {name}={value}, which is no count from 1 to 9999")
        if name not in OPTIONS:
            given[name] = int(value) if name in counts else value
    return given


def _access(split: SplitResult, access: Access | None) -> Access:
    query = parse_qsl(split.query, keep_blank_values=True)
    return (access or Access()).overridden({name: value for name, value in query if name in OPTIONS})


def _path(url: str, split: SplitResult) -> str:
    path = unquote(split.path[1:])
    if split.netloc or not path:
        raise _refused(url)
    return path


def _servers(url: str, split: SplitResult) -> str:
    if split.path not in ("", "/") or not _SERVERS.fullmatch(split.netloc):
        raise _refused(url)
    return split.netloc


def _refused(url: str) -> Refused:
    return Refused(f"{url!r} names no log; right would be {FORMS}")
