"""Starts the launcher, by path and isolated: `python -I -S -E …/worker FD PARENT`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Isolated, so that neither the site's packages nor the environment slow the start or reach the workers.
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from services.factory.worker.launcher import main

    main(sys.argv[1:])
