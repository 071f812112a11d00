"""Records the golden histories anew: `python -m tests.histories.recording [NAME …]`; `freeze VERSION` at a release.

Each is the exported log of one feature in a namespace of one partition, packed into one file.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.histories.features import FEATURES, Feature
from tests.services.cli.program import Program, run

HERE = Path(__file__).parent
FROZEN = HERE / "FROZEN"
"""A line of JSON for each release: the histories that it declared, by name, with the digests of their files."""

PARTITIONS = "1"


class RecordingFailed(Exception):
    """A feature did not do what it is there to show."""


def record(name: str, feature: Feature) -> Path:
    """Play a feature on a log of its own; gives the file that it is kept in."""
    with tempfile.TemporaryDirectory(prefix="history-") as directory:
        place = Path(directory)
        flow = place / f"{name}.yaml"
        flow.write_text(feature.flow, encoding="utf-8")
        first = _typed(place, ("run", str(flow), *feature.run, "--json", "--out", str(place / "out")), feature.code)
        run_id = str(first.last_json()["run_id"])
        for command in feature.after:
            words = [{"RUN": run_id, "FLOW": str(flow)}.get(word, word) for word in command]
            _typed(place, tuple(words), 0)
        _typed(place, ("log", "export", str(place / "archive")), 0)
        return _packed(name, place / "archive")


def _typed(place: Path, words: tuple[str, ...], code: int) -> Program:
    ended = run(*words, data=place / "data", CLAWX_PARTITIONS=PARTITIONS, CLAWX_NODE="golden")
    if ended.process.returncode != code:
        raise RecordingFailed(f"{' '.join(words[:2])} ended with {ended.process.returncode}: {ended.said[-3:]}")
    return ended


def _packed(name: str, archive: Path) -> Path:
    path = HERE / f"{name}.tar.xz"
    with tarfile.open(path, "w:xz", preset=9) as packed:
        for file in sorted(archive.rglob("*")):
            packed.add(file, str(file.relative_to(archive)), recursive=False, filter=_anonymous)
    return path


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def digest_of(path: Path) -> str:
    """What tells a history from a changed one."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def histories() -> dict[str, Path]:
    """Every history that there is, by name."""
    return {path.name.removesuffix(".tar.xz"): path for path in sorted(HERE.glob("*.tar.xz"))}


def frozen() -> dict[str, Mapping[str, str]]:
    """By release, the digests of its histories by name."""
    if not FROZEN.exists():
        return {}
    lines = [json.loads(line) for line in FROZEN.read_text(encoding="utf-8").splitlines()]
    return {line["release"]: line["histories"] for line in lines}


def freeze(version: str) -> None:
    """From here on the histories that are there stay as they are."""
    held = {name for kept in frozen().values() for name in kept}
    if version in frozen():
        raise RecordingFailed(f"{version} was released before; a release never changes")
    new = {name: digest_of(path) for name, path in histories().items() if name not in held}
    with FROZEN.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"release": version, "histories": new}) + "\n")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["freeze"]:
        freeze(arguments[1])
        return
    held = {name for kept in frozen().values() for name in kept}
    for name in arguments or sorted(FEATURES.keys() - held):
        if name in held:
            raise RecordingFailed(f"{name} was released; record a history under another name")
        path = record(name, FEATURES[name])
        print(f"{path.name}  {path.stat().st_size} bytes", file=sys.stderr)  # noqa: T201 — this is a command


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (RecordingFailed, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
