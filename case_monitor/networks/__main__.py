"""`python -m case_monitor.networks STUDY.yaml TRACKING_URI`: register the networks that a study makes for itself.

Those that are registered already stay. A line of JSON on standard output for each: name, version, why there is none.
"""

import json
import os
import sys
import threading
from pathlib import Path


def main() -> None:
    """Register what is missing; ends with whoever started it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from case_monitor.networks.register import register_networks  # torch: seconds in which the parent may end

    register_networks(Path(sys.argv[1]), sys.argv[2], _tell)


def _end_with_parent() -> None:
    """Whoever started this holds the other end of standard input, and may be killed."""
    sys.stdin.read()
    os._exit(1)


def _tell(name: str, version: int, error: str) -> None:
    sys.stdout.write(json.dumps({"name": name, "version": version, "error": error}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
