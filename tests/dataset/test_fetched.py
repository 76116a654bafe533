"""Splits at URLs: what is downloaded is read like any other, is removed with it, and no secret is said."""

import gc
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.logs.masking import masked
from case_monitor.measuring_process.local import LocalPlace, LocalSplit
from case_monitor.registry.fetched_files import without_secrets
from case_monitor.registry.split_artifact import open_split
from case_monitor.settings import FetchedSplit, load_settings
from tests.dataset.test_huggingface import built
from tests.dataset.test_load import RGB, all_of, folder, noise, write_images, write_npz
from tests.dataset.test_webdataset import WHOLE, shard


def fetched(url: str, kind: str, **options: Any) -> RawSplit:
    opened = open_split(LocalPlace(), FetchedSplit(kind="fetched", url=url, format=kind, options=options))
    assert isinstance(opened, LocalSplit)
    return opened.raw


@pytest.fixture(autouse=True)
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where they go, and nothing may be left of them."""
    place = tmp_path / "downloads"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    gc.collect()
    assert list(place.iterdir()) == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A split of each kind."""
    write_images(tmp_path / "val", {"cat": [noise(1)], "dog": [noise(2), noise(3)]})
    (tmp_path / "val" / "labels.csv").write_text("path,label\ncat/0.png,cat\ndog/0.png,dog\n")
    write_npz(tmp_path / "val.npz")
    shard(tmp_path / "shards" / "0.tar", WHOLE)
    built().save_to_disk(str(tmp_path / "hf"))
    return tmp_path


Put = Callable[[Path], str]


@pytest.fixture(params=["file", "memory", "zip"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Put]:
    """A place at a URL, of each kind that is here."""
    memory = fsspec.filesystem("memory")

    def put(path: Path) -> str:
        if request.param == "file":
            return path.as_uri()
        if request.param == "memory":
            memory.put(str(path), f"/bucket/{path.name}", recursive=True)
            return f"memory://bucket/{path.name}"
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
            for file in [path, *path.rglob("*")]:
                out.write(file, file.relative_to(path.parent))
        return f"zip://{path.name}::{(tmp_path / 'x.zip').as_uri()}"

    yield put
    memory.store.clear()


def test_every_kind_is_what_it_is_here(home: Path, put: Put) -> None:
    assert fetched(put(home / "val"), "image_folder").digest == folder(home / "val").digest
    assert fetched(put(home / "val.npz"), "npz").sample_ids[5] == "000005"
    assert fetched(put(home / "val"), "table", path="labels.csv").labels.tolist() == [0, 1]
    assert fetched(put(home / "shards"), "webdataset", class_names=["a", "b", "c"]).labels.tolist() == [2, 0]
    assert fetched(put(home / "hf"), "huggingface").class_names == ("dog", "cat")


def test_it_is_there_as_long_as_its_images_are(home: Path, put: Put, downloads: Path) -> None:
    raw = fetched(put(home / "val"), "image_folder")
    assert raw.name == "val"
    [place] = downloads.iterdir()
    source = prepare(raw, None, RGB)[1]
    del raw
    assert all_of(source).shape == (3, 3, 6, 6)
    del source
    gc.collect()
    assert not place.exists()


@pytest.fixture
def server(home: Path) -> Iterator[str]:
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(home))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_of_a_web_server(home: Path, server: str) -> None:
    raw = fetched(f"{server}/val.npz?X-Amz-Signature=0123456789abcdef", "npz")
    assert raw.name == "val"
    assert fetched(f"{server}/shards/0.tar", "webdataset").labels.tolist() == [2, 0]


def test_an_archive_of_a_server_that_sends_no_parts_is_one_line(server: str) -> None:
    with pytest.raises(DataError, match=r"^split: zip://::http://.*/val\.npz cannot be downloaded: .* range requests"):
        fetched(f"zip://::{server}/val.npz", "image_folder")


def test_all_that_an_archive_holds_is_called_after_it(home: Path) -> None:
    with zipfile.ZipFile(home / "digits.zip", "w") as out:
        for file in (home / "val").rglob("*.png"):
            out.write(file, file.relative_to(home / "val"))
    raw = fetched(f"zip://::{(home / 'digits.zip').as_uri()}", "image_folder")
    assert (raw.name, raw.digest) == ("digits.zip", folder(home / "val").digest)


def test_nothing_of_a_login_or_a_signature_is_said(server: str) -> None:
    """Neither by us, nor by what asks for it."""
    host = server.removeprefix("http://")
    url = f"http://me:hunter2hunter2@{host}/none.npz?X-Amz-Signature=0123456789abcdef&se=x&sig=s3cr3ts%2Bsecret"
    with pytest.raises(DataError) as error:
        fetched(url, "npz")
    said = str(error.value)
    assert said.startswith(f"split: http://***@{host}/none.npz cannot be downloaded: FileNotFoundError")
    for secret in ("hunter2", "0123456789abcdef", "s3cr3ts"):
        assert secret not in said
        assert secret not in masked(f"GET {url}")


def test_reading_a_configuration_remembers_them(tmp_path: Path) -> None:
    url = "https://me:swordfish-77@store.example/val.npz?Expires=1764300000&Signature=Zm9vYmFyYmF6cXV4"
    file = tmp_path / "c.yaml"
    file.write_text(f"models: {{d: {{split: {{kind: fetched, url: '{url}', format: npz}}}}}}")
    load_settings(file)
    assert "swordfish-77" not in masked("it was swordfish-77")
    assert "Zm9vYmFyYmF6cXV4" not in masked("Zm9vYmFyYmF6cXV4 does not match")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/val", "s3://bucket/val"),
        ("https://a:b@host/x?sig=1#y", "https://***@host/x"),
        ("zip://val::https://host/x.zip?sig=1", "zip://val::https://host/x.zip"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/val", r"s3://bucket/val needs a package that is not installed: Install s3fs"),
        ("nowhere://x/y", r"nowhere://x/y cannot be downloaded: ValueError: Protocol not known"),
        ("memory://none", r"memory://none cannot be downloaded: FileNotFoundError"),
        ("file:///nowhere/at/all", r"cannot be downloaded: FileNotFoundError"),
    ],
)
def test_what_cannot_be_reached_is_one_line(url: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        fetched(url, "image_folder")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["../../cat/evil.png", "/cat/../../evil.png", "val/../../../evil.png"])
def test_an_archive_puts_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("val/cat/0.png", b"x")
        out.writestr(name, b"x")
    with pytest.raises(DataError):
        fetched(f"zip://::{(tmp_path / 'x.zip').as_uri()}", "image_folder")
    assert list(tmp_path.rglob("evil.png")) == []


def test_a_pipe_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "val" / "cat" / "pipe.png")
    with pytest.raises(DataError, match=r"files below what is downloaded were expected, '.*' \(other\) came"):
        fetched((home / "val").as_uri(), "image_folder")


def test_what_is_there_and_wrong_leaves_nothing(home: Path) -> None:
    (home / "val" / "cat" / "0.png").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read"):
        fetched((home / "val").as_uri(), "image_folder")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kind: fetched, url: 's3://a/b', format: zip}", "models.d.split.format: "),
        ("{kind: fetched, url: 'a/b', format: npz}", "models.d.split.url: "),
        ("{kind: fetched, url: 's3://a/b', format: table, options: {colum: x}}", "split.options: colum: Extra inputs"),
        ("{kind: fetched, url: 's3://a/b', format: imagenet}", "split.options: truth: Field required"),
        ("{kind: fetched, url: 's3://a/b', format: table, options: {path: ../x.csv}}", "options: path: a path inside"),
        ("{kind: fetched, url: 's3://a/b', format: table, options: {images: /etc}}", "options: images: a path inside"),
        ("{kind: mlflow_artifact, uri: 'runs:/1/b', format: npz, options: {path: /x}}", "options: path: a path inside"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_when_the_configuration_is_read(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"models: {{d: {{split: {text}}}}}")
    with pytest.raises(ConfigError) as error:
        load_settings(file)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_one_that_is_not_downloaded_is_not_read(home: Path) -> None:
    with pytest.raises(ConfigError, match="a place on this machine was expected, kind fetched came"):
        load_split(FetchedSplit(kind="fetched", url="s3://a:b@c/d", format="npz"))
