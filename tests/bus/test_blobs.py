"""The directory of blobs: durable before put returns, checked on get, safe for many writers."""

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bus.blobs import BlobStore, DirectoryBlobs, digest_of
from bus.errors import BlobCorrupt, BlobMissing, BlobTooLarge, LogFull, Refused, Unavailable

CONTENT = b"a report on a source tree"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "blobs"


@pytest.fixture
def blobs(root: Path) -> BlobStore:
    return DirectoryBlobs(root)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_put_names_the_content_by_its_sha256_and_get_returns_it(blobs: BlobStore) -> None:
    assert await blobs.put(CONTENT) == DIGEST
    assert await blobs.get(DIGEST) == CONTENT
    assert await blobs.has(DIGEST)
    assert await blobs.size(DIGEST) == len(CONTENT)


@pytest.mark.parametrize("content", [b"", b"\0" * 5_000_000])
async def test_any_content_comes_back_as_it_was(blobs: BlobStore, content: bytes) -> None:
    assert await blobs.get(await blobs.put(content)) == content


async def test_another_store_on_the_same_directory_has_it(root: Path, blobs: BlobStore) -> None:
    await blobs.put(CONTENT)
    assert await DirectoryBlobs(root).get(DIGEST) == CONTENT


async def test_the_content_lies_at_its_path_and_nobody_may_write_there(blobs: BlobStore) -> None:
    await blobs.put(CONTENT)
    path = blobs.path(DIGEST)
    assert path is not None
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o222 == 0


async def test_a_missing_blob_is_missing_by_name(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.put(b"another")
    assert not await blobs.has(DIGEST)
    for call in (blobs.get(DIGEST), blobs.size(DIGEST), blobs.get_file(DIGEST, tmp_path / "copy")):
        with pytest.raises(BlobMissing, match=DIGEST):
            await call
    assert not (tmp_path / "copy").exists()


async def test_a_corrupt_blob_is_not_handed_out_and_is_named(blobs: BlobStore, tmp_path: Path) -> None:
    corrupt(blobs, await blobs.put(CONTENT))
    with pytest.raises(BlobCorrupt, match=DIGEST):
        await blobs.get(DIGEST)
    with pytest.raises(BlobCorrupt, match=DIGEST):
        await blobs.get_file(DIGEST, tmp_path / "copy")
    assert files(tmp_path) == [blobs.path(DIGEST)]


async def test_putting_a_corrupt_blob_again_heals_it(blobs: BlobStore, tmp_path: Path) -> None:
    (source := tmp_path / "source").write_bytes(CONTENT)
    await blobs.put(CONTENT)
    corrupt(blobs, DIGEST)
    assert await blobs.put(CONTENT) == DIGEST
    assert await blobs.get(DIGEST) == CONTENT
    corrupt(blobs, DIGEST)
    assert await blobs.put_file(source) == DIGEST
    assert await blobs.get(DIGEST) == CONTENT


def corrupt(blobs: BlobStore, digest: str) -> None:
    path = blobs.path(digest)
    assert path is not None
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "digest", ["", "sha256:", DIGEST[:-1], DIGEST.upper(), f"{DIGEST}\n", "sha256:../../secret", "md5:0"]
)
async def test_what_is_no_digest_is_refused(blobs: BlobStore, digest: str) -> None:
    for call in (blobs.get, blobs.has, blobs.size):
        with pytest.raises(Refused, match="no digest"):
            await call(digest)


async def test_a_file_goes_in_and_out_in_pieces(blobs: BlobStore, tmp_path: Path) -> None:
    content = os.urandom(1000) * 3000
    (source := tmp_path / "source").write_bytes(content)
    assert await blobs.put_file(source) == digest_of(content)
    await blobs.get_file(digest_of(content), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


async def test_over_the_limit_nothing_is_kept(root: Path, tmp_path: Path) -> None:
    blobs = DirectoryBlobs(root, bytes_max=len(CONTENT))
    (source := tmp_path / "source").write_bytes(CONTENT + b"!")
    assert await blobs.put(CONTENT) == DIGEST
    with pytest.raises(BlobTooLarge, match=str(len(CONTENT))):
        await blobs.put(CONTENT + b"!")
    with pytest.raises(BlobTooLarge):
        await blobs.put_file(source)
    assert files(root) == [blobs.path(DIGEST)]


async def test_many_puts_at_once_of_few_contents_keep_each_once(root: Path) -> None:
    stores = [DirectoryBlobs(root) for _ in range(4)]
    contents = [bytes([number]) * 10_000 for number in range(5)]
    digests = await asyncio.gather(*(store.put(content) for content in contents * 8 for store in stores))
    assert set(digests) == {digest_of(content) for content in contents}
    assert len(files(root)) == len(contents)
    assert [await stores[0].get(digest_of(content)) for content in contents] == contents


def test_a_put_that_fails_leaves_nothing_and_says_where(root: Path) -> None:
    root.mkdir(parents=True)
    (root / "sha256").write_text("a file where a directory should be")
    with pytest.raises(Unavailable, match=str(root)):
        asyncio.run(DirectoryBlobs(root).put(CONTENT))
    assert files(root) == [root / "sha256"]


FULL_DISK = """
import asyncio, resource, signal, sys
from bus.blobs import DirectoryBlobs
blobs = DirectoryBlobs(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
asyncio.run(blobs.put(b"x" * 200_000))
"""


def test_what_could_not_be_written_whole_is_not_kept(root: Path) -> None:
    """A file that may not grow fails in the middle of a write, as a full disk does."""
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, str(root)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert Unavailable.__name__ in ended.stderr
    assert files(root) == []


def test_a_full_disk_is_told_as_such() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip(f"no {full} on this system")
    with pytest.raises(LogFull, match="no room"), DirectoryBlobs("unused")._failures(DIGEST):
        full.write_bytes(CONTENT)
