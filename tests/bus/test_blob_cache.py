"""Blobs that Deciders ask for: loaded once, waited for as long as is worth while, told once when they are lacking."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from bus import blob_cache
from bus.blob_cache import BLOB_WAIT_MS_MAX, BlobCache
from bus.errors import BlobCorrupt, BlobMissing, BlobTooLarge, Refused, Unavailable
from tests.simulation.bank import silence
from tests.simulation.loop import VirtualLoop, elapse, simulate


class Store:
    """Says for each digest what it was told to, the last thing for ever."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.gets: Counter[str] = Counter()
        self.kept: list[bytes] = []

    async def get(self, digest: str) -> bytes:
        self.gets[digest] += 1
        await elapse(0.001)
        return self._answer(digest)

    async def put(self, content: bytes) -> str:
        await elapse(0.001)
        self._answer("put")
        self.kept.append(content)
        return "digest"

    def _answer(self, name: str) -> bytes:
        answers = self.answers.get(name, [BlobMissing(name)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, bytes)
        return answer


def run(main: Coroutine[Any, Any, None]) -> None:
    with silence():
        simulate(main, VirtualLoop())


async def until(cache: BlobCache, *digests: str) -> tuple[dict[str, bytes | None], float]:
    """What the cache has once it has all, asked as sessions ask, and how many seconds that took."""
    loop = asyncio.get_running_loop()
    began, done = loop.time(), loop.create_future()

    def ask() -> None:
        if (found := cache.now(digests)) is not None and not done.done():
            done.set_result(dict(found))

    cache.loaded = ask
    ask()
    return await done, loop.time() - began


def test_a_content_is_loaded_once_and_then_there_at_once() -> None:
    async def main() -> None:
        store = Store(a=[b"A"], b=[b"B"])
        cache = BlobCache(store)
        assert cache.now(()) == {}
        assert cache.now(["a"]) is None
        assert cache.now(["a", "b"]) is None
        assert (await until(cache, "a", "b"))[0] == {"a": b"A", "b": b"B"}
        assert cache.now(["b"]) == {"b": b"B"}
        assert store.gets == {"a": 1, "b": 1}

    run(main())


def test_a_store_that_is_away_is_waited_out() -> None:
    async def main() -> None:
        cache = BlobCache(Store(a=[Unavailable("away")] * 300 + [OSError("odd"), b"A"]))
        found, seconds = await until(cache, "a")
        assert found == {"a": b"A"}
        assert seconds > BLOB_WAIT_MS_MAX / 1000

    run(main())


@pytest.mark.parametrize("error", [BlobMissing("a"), BlobCorrupt("a"), BlobTooLarge("a")])
def test_what_the_store_lacks_is_given_up_after_a_while(error: Exception) -> None:
    async def main() -> None:
        found, seconds = await until(BlobCache(Store(a=[error])), "a")
        assert found == {"a": None}
        assert BLOB_WAIT_MS_MAX / 1000 <= seconds < BLOB_WAIT_MS_MAX / 1000 + 1

    run(main())


def test_what_is_no_digest_is_given_up_at_once() -> None:
    async def main() -> None:
        found, seconds = await until(BlobCache(Store(a=[Refused("no digest")])), "a")
        assert found == {"a": None}
        assert seconds < 0.1

    run(main())


def test_what_turns_up_while_it_is_waited_for_is_handed_over() -> None:
    async def main() -> None:
        found, seconds = await until(BlobCache(Store(a=[BlobMissing("a")] * 20 + [b"A"])), "a")
        assert found == {"a": b"A"}
        assert seconds < BLOB_WAIT_MS_MAX / 1000

    run(main())


def test_what_was_lacking_is_looked_for_again_when_it_is_asked_for_again() -> None:
    async def main() -> None:
        store = Store()
        cache = BlobCache(store)
        seen: list[Any] = []
        cache.loaded = lambda: seen.append((cache.now(["a"]), cache.now(["a"])))
        assert cache.now(["a"]) is None
        await elapse(BLOB_WAIT_MS_MAX / 1000 + 1)
        assert seen == [({"a": None}, {"a": None})], "all who waited are told the same"
        store.answers["a"] = [b"A"]
        assert (await until(cache, "a"))[0] == {"a": b"A"}

    run(main())


def test_the_oldest_contents_are_forgotten_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_cache, "CACHE_BYTES_MAX", 10)

    async def main() -> None:
        store = Store(a=[b"A" * 4], b=[b"B" * 4], c=[b"C" * 4])
        cache = BlobCache(store)
        for name in "abac":
            await until(cache, name)
        assert cache.now("a") == {"a": b"AAAA"}
        assert cache.now("b") is None
        assert store.gets["a"] == 1

    run(main())


def test_what_an_input_needs_may_be_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_cache, "CACHE_BYTES_MAX", 10)

    async def main() -> None:
        store = Store(**{name: [name.encode() * 8] for name in "abcd"})
        cache = BlobCache(store)
        async with asyncio.timeout(60):
            found, _ = await until(cache, *"abcd")
        assert len(found) == 4
        assert max(store.gets.values()) == 1

    run(main())


def test_what_a_decision_made_is_kept_before_it_goes_on() -> None:
    async def main() -> None:
        store = Store(put=[Unavailable("away")] * 3 + [b""])
        cache, kept = BlobCache(store), asyncio.Event()
        cache.loaded = kept.set
        assert not cache.keep({"a": b"A"})
        assert not cache.keep({"a": b"A"})
        await kept.wait()
        assert store.kept == [b"A"]
        assert cache.keep({"a": b"A"})
        assert cache.keep({})

    run(main())


def test_what_the_store_will_never_keep_is_said_to_whoever_made_it() -> None:
    async def main() -> None:
        cache, told = BlobCache(Store(put=[BlobTooLarge("too large")])), asyncio.Event()
        cache.loaded = told.set
        assert not cache.keep({"a": b"A"})
        await told.wait()
        with pytest.raises(BlobTooLarge):
            cache.keep({"a": b"A"})

    run(main())


def test_closing_ends_what_is_under_way() -> None:
    async def main() -> None:
        cache = BlobCache(Store(a=[Unavailable("away")], put=[Unavailable("away")]))
        cache.now(["a"])
        cache.keep({"b": b"B"})
        await elapse(1)
        await cache.close()
        assert len(asyncio.all_tasks()) == 1

    run(main())
