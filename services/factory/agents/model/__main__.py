"""Holds one conversation: an order as JSON on stdin, the answer streamed to stdout, an envelope as its last line."""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
    from services.factory.agents.model.conversation import hold

    envelope = hold(json.load(sys.stdin))
    print("\n" + json.dumps(envelope, ensure_ascii=False), flush=True)  # noqa: T201 -- this is how a program answers
    sys.exit(0 if envelope["ok"] else 1)
