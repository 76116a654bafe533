"""Archives as torch writes them, and no others.

A zip file says twice what it holds, and readers differ in which of the two they believe. Here both must agree, byte for
byte: entries lie one after the other without gaps, uncompressed, and the directory at the end says the same of each.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

from case_monitor.registry.artifact.refusal import Refusal, shown

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_IN_64_BITS = 0xFFFFFFFF
_FLAGS = {0, 0x800, 0x808}  # a name in UTF-8; sizes repeated behind the content. Never: encrypted
_MOST_ENTRIES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    flags: int
    crc: int
    size: int
    header: int
    start: int = 0


class Archive:
    """What is in one archive: `members` are the names without their common folder.

    Raises:
        Refusal: it is no archive, or not of torch's form.
    """

    def __init__(self, stream: IO[bytes], file: str) -> None:
        self._stream, self._file = stream, file
        try:
            self._entries = self._tiled(self._directory())
        except struct.error:
            raise self.refusal("an archive of torch's form", "one that ends too early") from None
        self.members = self._members()

    def refusal(self, expected: str, came: str, member: str = "") -> Refusal:
        """That something of this archive is not as it should be."""
        return Refusal(f"{self._file}: {member}" if member else self._file, expected, came)

    def size(self, member: str) -> int:
        """Bytes of a member."""
        return self.members[member].size

    def read(self, member: str, limit: int) -> bytes:
        """The content of a member of at most `limit` bytes.

        Raises:
            Refusal: there is none, or it is longer.
        """
        entry = self.members.get(member)
        if entry is None:
            raise self.refusal(f"{member} in it", "none")
        if entry.size > limit:
            raise self.refusal(f"at most {limit} bytes", str(entry.size), member)
        return self._at(entry.start, entry.size)

    def _members(self) -> dict[str, _Entry]:
        roots = {entry.name.partition("/")[0] for entry in self._entries}
        if len(roots) != 1:
            raise self.refusal("one folder", f"{len(roots)}")
        members = {entry.name.partition("/")[2]: entry for entry in self._entries}
        # torch's reader finds names whatever their case.
        if len({name.lower() for name in members}) != len(self._entries):
            raise self.refusal("each name once", "one twice")
        return members

    def _directory(self) -> Iterator[_Entry]:
        offset, count, end = self._end()
        if count > _MOST_ENTRIES:
            raise self.refusal(f"at most {_MOST_ENTRIES} entries", str(count))
        for _ in range(count):
            entry, offset = self._central(offset)
            yield entry
        if offset != end:
            raise self.refusal("a directory of its entries only", "one with more in it")

    def _end(self) -> tuple[int, int, int]:
        """Where the directory begins, how many entries it has, and where it ends."""
        length = self._stream.seek(0, 2)
        place = length - _END.size
        mark, disk, start_disk, here, count, size, offset, comment = self._struct(_END, place)
        if mark != b"PK\x05\x06" or comment:
            raise self.refusal("an archive of torch's form", "another file")
        if self._at(max(place - _LOCATOR.size, 0), 4) == b"PK\x06\x07":
            place -= _LOCATOR.size
            _, wide_disk, wide, disks = self._struct(_LOCATOR, place)
            place -= _END64.size
            same = [disk, start_disk, here, count, size, offset]
            mark, rest, _, _, disk, start_disk, here, count, size, offset = self._struct(_END64, place)
            now = [disk, start_disk, here, count, size, offset]
            agree = all(a in {b, 0xFFFF, _IN_64_BITS} for a, b in zip(same, now, strict=True))
            if (mark, wide, rest, wide_disk, disks, agree) != (b"PK\x06\x06", place, _END64.size - 12, 0, 1, True):
                raise self.refusal("one end of the archive", "two that differ")
        if disk or start_disk or here != count or offset + size != place:
            raise self.refusal("a directory that ends where the archive does", "another")
        return offset, count, place

    def _central(self, offset: int) -> tuple[_Entry, int]:
        (mark, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, disk, _, _, header) = self._struct(
            _CENTRAL, offset
        )
        offset += _CENTRAL.size
        text = self._name(self._at(offset, name))
        wide = self._at(offset + name, extra)
        if mark != b"PK\x01\x02" or flags not in _FLAGS or method or comment or disk:
            raise self.refusal("entries that are neither packed nor encrypted", "another", text)
        numbers = [size, packed, header]
        places = [i for i, number in enumerate(numbers) if number == _IN_64_BITS]
        if len(wide) != (4 + 8 * len(places) if places else 0):
            raise self.refusal("an entry without additions", "one with", text)
        if places:
            kind, length, *values = struct.unpack(f"<2H{len(places)}Q", wide)
            if kind != 1 or length != len(wide) - 4:
                raise self.refusal("an entry without additions", "one with", text)
            for i, value in zip(places, values, strict=True):
                numbers[i] = value
        size, packed, header = numbers
        if packed != size:
            raise self.refusal("an entry that is not packed", "one that is", text)
        return _Entry(name=text, flags=flags, crc=crc, size=size, header=header), offset + name + extra

    def _name(self, raw: bytes) -> str:
        text = raw.decode("ascii", "replace")
        parts = text.split("/")
        if len(text) > 250 or len(parts) < 2 or not all(_is_plain(part) for part in parts):
            raise self.refusal("names of letters, digits, `_`, `-` and `.`", shown(text))
        return text

    def _tiled(self, directory: Iterator[_Entry]) -> list[_Entry]:
        """The entries with where their contents begin; each begins where the one before it ends."""
        entries, found, offset = list(directory), [], 0
        for entry in sorted(entries, key=lambda entry: entry.header):
            if entry.header != offset:
                raise self.refusal("entries one after the other", "a gap or an overlap", entry.name)
            start = self._content(entry)
            offset = self._behind(entry, start + entry.size)
            found.append(replace(entry, start=start))
        if offset != self._end()[0]:
            raise self.refusal("entries up to the directory", "something between")
        return found

    def _content(self, entry: _Entry) -> int:
        mark, _, flags, method, _, _, crc, packed, size, name, extra = self._struct(_LOCAL, entry.header)
        offset = entry.header + _LOCAL.size
        ours = (b"PK\x03\x04", entry.flags, 0, entry.name.encode())
        if (mark, flags, method, self._at(offset, name)) != ours:
            raise self.refusal("the same entry at both its places", "two that differ", entry.name)
        later = bool(entry.flags & 8)
        if not all(a in {b, _IN_64_BITS} or (later and not a) for a, b in ((packed, entry.size), (size, entry.size))):
            raise self.refusal("the same size at both its places", "two that differ", entry.name)
        if crc != entry.crc and not (later and not crc):
            raise self.refusal("the same checksum at both its places", "two that differ", entry.name)
        return int(offset + name + extra)

    def _behind(self, entry: _Entry, offset: int) -> int:
        """Where the entry ends, whose checksum and sizes may be repeated behind its content."""
        if not entry.flags & 8:
            return offset
        for form in ("<4sI2I", "<4sI2Q"):
            length = struct.calcsize(form)
            raw = self._at(offset, length)
            if len(raw) == length and struct.unpack(form, raw) == (b"PK\x07\x08", entry.crc, entry.size, entry.size):
                return offset + length
        raise self.refusal("the same sizes behind the content", "others", entry.name)

    def _struct(self, form: struct.Struct, offset: int) -> tuple[Any, ...]:
        return form.unpack(self._at(offset, form.size))

    def _at(self, offset: int, length: int) -> bytes:
        if offset < 0:
            raise struct.error
        self._stream.seek(offset)
        return self._stream.read(length)


def _is_plain(part: str) -> bool:
    return bool(part.strip(".")) and all(c.isascii() and (c.isalnum() or c in "_-.") for c in part)
