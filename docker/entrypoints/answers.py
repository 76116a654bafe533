"""Whether URLs answer 200: `answers.py [--wait SECONDS] URL...`. Slim images have no curl."""

import sys
import time
import urllib.error
import urllib.request


def problem(url: str) -> str | None:
    """Why the URL does not answer 200; None if it does."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return None if answer.status == 200 else f"{answer.status}"
    except (OSError, ValueError) as error:  # refused, timed out, 4xx and 5xx, not a URL
        return str(error)


def main(arguments: list[str]) -> int:
    """The exit code: 0 once all answered in turn, 1 if one did not in time."""
    seconds = 0.0
    if arguments[:1] == ["--wait"]:
        seconds, arguments = float(arguments[1]), arguments[2:]
    give_up = time.monotonic() + seconds
    for url in arguments:
        while reason := problem(url):
            if time.monotonic() >= give_up:
                print(f"{url} did not answer 200 within {seconds:g} s: {reason}", file=sys.stderr)
                return 1
            time.sleep(0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
