"""Tables and shards that are none, or contradict themselves."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from case_monitor.settings import ImagenetSplit, SplitSpec, TableSplit, WebdatasetSplit
from tests.corpus.case import Case
from tests.corpus.folders import picture


def _table(text: str | bytes, name: str = "x.csv", **fields: Any) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        for i in (1, 2):
            (place / f"{i}.png").write_bytes(picture(i))
        (place / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return TableSplit(kind="table", path=place / name, **fields)

    return build


def table_cases() -> list[Case]:
    whole = "path,label\n1.png,a\n2.png,b\n"
    return [
        Case(
            what="a table as Excel writes it",
            build=_table("\ufeffpath;label\r\n1.png;a\r\n2.png;b\r\n"),
            says=None,
            images=2,
        ),
        Case(what="an empty table", build=_table(""), says="nothing came"),
        Case(what="a table without rows", build=_table("path,label\n"), says="images were expected, none came"),
        Case(
            what="a table without its column",
            build=_table(whole.replace("label", "class")),
            says="say path_column and label_column",
        ),
        Case(what="a column twice", build=_table("path,label,label\n1.png,a,b\n"), says="it is there several times"),
        Case(
            what="a row without a class",
            build=_table(whole + "1.png,\n"),
            says="line 4: a value in column 'label' was expected",
        ),
        Case(what="a class that pandas lost", build=_table(whole + "1.png,nan\n"), says="line 4"),
        Case(
            what="a row with a cell too many",
            build=_table(whole + "1.png,a,c\n"),
            says="2 cells were expected in line 4",
        ),
        Case(what="a file that is not there", build=_table(whole + "3.png,a\n"), says="'3.png'"),
        Case(what="a file elsewhere", build=_table(whole + "../3.png,a\n"), says="a file below"),
        Case(
            what="one file of two classes",
            build=_table(whole + "1.png,b\n"),
            says="one class of each file was expected",
        ),
        Case(
            what="a table in another encoding",
            build=_table(whole.replace("a", "ä").encode("latin-1")),
            says="in UTF-8 was expected",
        ),
        Case(what="indices that are none", build=_table(whole, labels="indices"), says="'a' came"),
        Case(what="a Parquet that is none", build=_table(b"PAR1 text", "x.parquet"), says="no Parquet can be read"),
        Case(what="a table of another kind", build=_table(b"PK", "x.xlsx"), says="a table was expected"),
        Case(
            what="ImageNet without its list",
            build=lambda place: ImagenetSplit(kind="imagenet", path=place, truth=place / "x.txt"),
            says="x.txt",
        ),
    ]


def _shard(
    *members: tuple[str, bytes], cut: int | None = None, name: str = "x.tar", link: str | None = None
) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for member, data in members:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            if link is not None:
                info = tarfile.TarInfo(link)
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
        data = content.getvalue()[:cut]
        (place / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        return WebdatasetSplit(kind="webdataset", path=place / name, class_names=("a", "b"))

    return build


def shard_cases() -> list[Case]:
    whole = (("1.png", picture(1)), ("1.cls", b"0"), ("2.png", picture(2)), ("2.cls", b"1"))
    return [
        Case(what="a shard", build=_shard(*whole), says=None, images=2),
        Case(what="half a shard", build=_shard(*whole, cut=1500), says="x.tar"),
        Case(what="a compressed shard", build=_shard(*whole, name="x.tar.gz"), says="x.tar.gz"),
        Case(
            what="no shard", build=lambda place: WebdatasetSplit(kind="webdataset", path=place / "*.tar"), says="*.tar"
        ),
        Case(what="a link in a shard", build=_shard(*whole, link="3.png"), says="3.png"),
        Case(what="a picture without a class", build=_shard(*whole[:3]), says="1 have none: 2"),
        Case(what="a class that is no number", build=_shard(*whole[:3], ("2.cls", b"cat")), says="'cat'"),
        Case(
            what="a class beyond the last",
            build=_shard(*whole[:3], ("2.cls", b"7")),
            says="labels in 0..1 were expected",
        ),
        Case(what="one key twice", build=_shard(*whole, ("1.png", picture(3))), says="'1' has two"),
    ]
