"""Starts the launcher, by path and isolated: `python -I -S -E …/worker FD PARENT`; or, after `worker`, one worker."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Isolated, so that neither the site's packages nor the environment slow the start or reach the workers.
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from services.factory.worker.launcher import main, run_confined

    if sys.argv[1] == "worker":
        sys.exit(run_confined(sys.argv[2:]))
    main(sys.argv[1:])
