"""Says what became of some seeds: a digest of each log and of each state that it folds to.

`python -m tests.simulation.bank_digest SEED…`
"""

import hashlib
import json
import sys

from bus.digest import digest_of
from tests.simulation.bank import run_world
from tests.simulation.bank_world import BankWorld


def told(world: BankWorld) -> dict[str, str]:
    """Digests by name."""
    log = hashlib.blake2b(digest_size=16)
    for partition, records in sorted(world.storage.records.items()):
        log.update(repr((partition, records)).encode())
    return {"log": log.hexdigest()} | {name: digest_of(state) for name, state in world.replay.states().items()}


if __name__ == "__main__":
    json.dump([told(run_world(int(seed))) for seed in sys.argv[1:]], sys.stdout)
