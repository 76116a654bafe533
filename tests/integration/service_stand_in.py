"""Stands in for `case-monitor serve` and `webhook register` until they exist; everything else is the real command."""

import sys
from importlib.metadata import entry_points


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(port=int(sys.argv[sys.argv.index("--port") + 1]))
    elif sys.argv[1:3] != ["webhook", "register"]:
        [command] = entry_points(group="console_scripts", name="case-monitor")
        command.load()()


def serve(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    for path in ("/healthz", "/readyz", "/metrics"):
        app.get(path)(_answer)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def _answer() -> str:
    return "ok"


if __name__ == "__main__":
    main()
