"""The directory of one attempt: its inputs as read-only files, the places of its outputs, a place for scratch."""

import asyncio
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from bus.blobs import BlobStore
from services.factory.agents.port import Input, Output
from services.factory.agents.program import STDOUT, stdout_name
from services.factory.file_name import file_name
from services.records.content import Artifact

logger = logging.getLogger(__name__)


class AttemptDirectory:
    """`attempts/ID` in the directory of an instance."""

    def __init__(self, instance_directory: Path, attempt_id: str) -> None:
        self.path = instance_directory / "attempts" / file_name(attempt_id)

    def output_paths(self, names: Iterable[str]) -> dict[str, str]:
        """Where each declared output may be written."""
        outputs = self.path / "outputs"
        return {name: str(outputs / file_name(name)) for name in names}

    async def lay(self, inputs: Iterable[Artifact], blobs: BlobStore) -> dict[str, Input]:
        """Make the directory and put the inputs there. Raises OSError, or whatever the blob store raises."""
        self._make()
        laid = {}
        for artifact in inputs:
            place = self.path / "inputs" / file_name(artifact.name)
            if artifact.inline is not None:
                place.write_bytes(artifact.inline)
            else:
                await blobs.get_file(artifact.digest, place)
            place.chmod(0o444)
            laid[artifact.name] = Input(digest=artifact.digest, media_type=artifact.media_type, path=str(place))
        return laid

    def _make(self) -> None:
        """The worker's own user, if the instance has one, may write there, but may neither have put something else in
        its place beforehand nor replace what the node puts there."""
        instance = self.path.parents[1]
        user = instance.stat().st_gid if os.geteuid() == 0 else 0
        self.path.mkdir(parents=not user, exist_ok=not user)
        for name in ("inputs", "outputs", "tmp"):
            (self.path / name).mkdir(exist_ok=True)
        if user:
            os.chown(self.path, 0, user)
            self.path.chmod(0o1770)
            for name in ("outputs", "tmp"):
                os.chown(self.path / name, user, user)

    def find_partial(self, stage: str, names: Iterable[str]) -> dict[str, Output]:
        """What an attempt that did not end by itself has left: its outputs so far, and what it printed."""
        found = {name: Output(path=path) for name, path in self.output_paths(names).items() if os.path.lexists(path)}
        printed = self.path / STDOUT
        if printed.is_file() and printed.stat().st_size:
            found.setdefault(stdout_name(stage), Output(path=str(printed), media_type="text/plain"))
        return found

    async def remove(self) -> None:
        """Remove it and all that is in it."""
        await asyncio.to_thread(remove_tree, self.path)


def remove_tree(path: Path) -> None:
    """Remove a directory in which a program may have taken away its own rights; what cannot be removed is logged."""
    try:
        if path.is_symlink():
            path.unlink()
            return
        for parent, names, _ in os.walk(path):
            for name in names:
                place = Path(parent) / name
                if not place.is_symlink() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
                    place.chmod(0o700)
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.error("%s cannot be removed: %s", path, error)


def inputs_by_digest(inputs: Iterable[Artifact]) -> Mapping[str, Input]:
    """Inputs of which only the digests matter."""
    return {each.name: Input(digest=each.digest, media_type=each.media_type) for each in inputs}
