"""What it takes to decode the worst records there can be: `python -m tests.bus.hostile_price BYTES SECONDS`.

Prints the bytes of the worst one and its name; ends with 1 at the first that takes more.
"""

import resource
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

from bus.codec import Codec
from bus.errors import Undecodable
from bus.log import Raw
from bus.record import Record
from tests.bus.hostile import OPEN_TYPES, bloated, encoded, read, sample, single_object_codec

ADDRESS_BYTES_MAX = 2**31
HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
FILLS = (b"\x00", b"\x01", b"\x02", b"\x80", HUGE)
CUTS_EVERY = 7


def attacks(codec: Codec, kind: type[Record]) -> Iterator[tuple[str, Raw]]:
    """Collections as full as can be, bodies of one byte over and over, and huge counts anywhere with much behind."""
    raw = encoded(codec, sample(kind))
    yield from bloated(kind, codec)
    for fill in FILLS:
        yield f"{kind.__name__} of {fill.hex()}", raw._replace(value=raw.value[:10] + fill * (120_000 // len(fill)))
    for cut in range(10, len(raw.value), CUTS_EVERY):
        yield f"{kind.__name__} at {cut}", raw._replace(value=raw.value[:cut] + HUGE + b"\x00" * 100_000)


def price(codec: Codec, raw: Raw) -> tuple[int, float]:
    """Bytes at the peak and seconds of CPU."""
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    with suppress(Undecodable):
        read(codec, raw)
    return tracemalloc.get_traced_memory()[1] - before, time.process_time() - began


def main(bytes_max: int, cpu_s_max: float) -> int:
    """The exit code."""
    codec, worst = single_object_codec(), (0, "")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES_MAX, ADDRESS_BYTES_MAX))
    tracemalloc.start()
    for kind in OPEN_TYPES:
        for name, raw in attacks(codec, kind):
            taken, cpu_s = price(codec, raw)
            worst = max(worst, (taken, name))
            if taken > bytes_max or cpu_s > cpu_s_max:
                sys.stdout.write(f"{taken} bytes and {cpu_s:.1f} s for {name}\n")
                return 1
    sys.stdout.write(f"{worst[0]} {worst[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
