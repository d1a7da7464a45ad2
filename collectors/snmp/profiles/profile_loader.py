"""Reads the profiles, and finds those that are for a device."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from collectors.snmp.profiles.profile_model import Body, Head, Match
from collectors.snmp.profiles.row_functions import FUNCTIONS, LIMITS
from collectors.snmp.session.oids import under
from collectors.yaml_file import fit, parse, read_text
from probes.wire.catalogue import did_you_mean

# Stands for OWN where a profile is only looked at.
_NO_MODEL = "1.3.6.1.4.1.99999"
_SEPARATOR = re.compile(r"^---[ \t]*$", re.MULTILINE)


class ProfileError(ValueError):
    """The profiles cannot be used; `findings` says why, one sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class Profile:
    """One file. What lies below its head is read when it is asked for."""

    def __init__(
        self, file: Path, head: Head, text: str, first: int, own: str = _NO_MODEL
    ) -> None:
        """`first`: lines of the file before `text`; `own`: what OWN stands for."""
        self.file, self.head = file, head
        self._text, self._first, self._own = text, first, own
        self._models: dict[str, Profile] = {}

    def for_model(self, object_id: str) -> Profile:
        """This, or what it is under the sysObjectID of one model."""
        if self.head.own_arcs is None:
            return self
        own = ".".join(object_id.split(".")[: self.head.own_arcs])
        if own not in self._models:
            self._models[own] = Profile(
                self.file, self.head, self._text, self._first, own
            )
        return self._models[own]

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def is_general(self) -> bool:
        """True where it is for every device."""
        return not self.head.match

    @cached_property
    def body(self) -> Body:
        """Raises `ProfileError`."""
        findings: list[str] = []
        text = self._text
        if self.head.own_arcs is not None:
            text = text.replace("OWN", self._own)
        document, lines = parse(self.file, text, findings, self._first)
        body = fit(self.file, document or {}, lines, Body, findings)
        if body is not None:
            for name, table in body.tables.items():
                for section, at, item in table.items:
                    limits = getattr(item, "limits", None)
                    for word, part, known in (
                        ("function", item, FUNCTIONS),
                        ("limits.function", limits, LIMITS),
                    ):
                        called = getattr(part, "function", None)
                        if called is not None and called not in known:
                            path = f"tables.{name}.{section}[{at}].{word}"
                            findings.append(
                                f"{self.file}:{lines.of(path)}: {path}: no function "
                                f"{called!r}{did_you_mean(called, known)}"
                            )
        if findings or body is None:
            raise ProfileError(findings)
        return body


class Profiles:
    """All that are known: Towpath's own, and a council's beside them."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self._profiles = tuple(profiles)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    def check(self) -> None:
        """Reads every body. Raises `ProfileError` with all findings."""
        findings: list[str] = []
        for profile in self._profiles:
            try:
                _ = profile.body
            except ProfileError as error:
                findings += error.findings
        if findings:
            raise ProfileError(findings)

    async def find_for_device(
        self,
        object_id: str | None,
        descr: str | None,
        ask: Callable[[str], Awaitable[str | None]],
    ) -> list[Profile]:
        """Those for a device, the most particular first.

        `ask` answers with the text of an instance, None where there is none.
        """
        found: list[tuple[tuple[int, int], Profile]] = []
        for profile in self._profiles:
            rank = await _rank_head(profile.head, object_id or "", descr or "", ask)
            if rank is not None:
                found.append((rank, profile.for_model(object_id or "")))
        found.sort(key=lambda each: each[0], reverse=True)
        return [profile for _, profile in found]


async def _rank_head(
    head: Head,
    object_id: str,
    descr: str,
    ask: Callable[[str], Awaitable[str | None]],
) -> tuple[int, int] | None:
    """How particular the head is about this device; None where it is not for it."""
    if not head.match:
        return (0, 0)
    best: tuple[int, int] | None = None
    for match in head.match:
        rank = _rank_match(match, object_id, descr)
        if rank is None or (best is not None and rank <= best):
            continue
        if match.answers is not None:
            said = await ask(match.answers.oid)
            if said is None or not re.search(match.answers.find or "", said):
                continue
        best = rank
    return best


def _rank_match(match: Match, object_id: str, descr: str) -> tuple[int, int] | None:
    """(conditions beyond the OID, arcs of the OID) that hold, or None. Pure."""
    length = 0
    if match.object_id:
        lengths = [
            oid.count(".") + 1
            for oid in match.object_id
            if object_id == oid or under(object_id, oid)
        ]
        if not lengths:
            return None
        length = max(lengths)
    if match.descr and not any(re.search(each, descr) for each in match.descr):
        return None
    if any(re.search(each, descr) for each in match.not_descr):
        return None
    more = bool(match.descr) + bool(match.answers)
    return (length, more)


def catalogue_folder() -> Path:
    """Where Towpath's own profiles lie."""
    return Path(str(resources.files("collectors.snmp.profiles"))) / "catalog"


@cache
def load(folder: Path | None = None) -> Profiles:
    """Towpath's profiles and those in `folder`; of one name, the council's counts.

    `ProfileError` names everything that is wrong in the heads: file, line, dotted
    path, what was expected, did you mean.
    """
    sources = {path.stem: path for path in sorted(catalogue_folder().glob("*.yaml"))}
    if folder is not None:
        sources |= {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return load_files(list(sources.values()))


def load_files(sources: Sequence[Path]) -> Profiles:
    """The profiles of these files alone."""
    findings: list[str] = []
    profiles = []
    for source in sources:
        text = read_text(source, findings)
        if text is None:
            continue
        head_text, body_text, first = _split_documents(text)
        wrong = len(findings)
        document, lines = parse(source, head_text, findings)
        if len(findings) > wrong:
            continue
        head = fit(source, document or {}, lines, Head, findings)
        if head is not None:
            profiles.append(Profile(source, head, body_text, first))
    if findings:
        raise ProfileError(findings)
    return Profiles(profiles)


def _split_documents(text: str) -> tuple[str, str, int]:
    """Head, body, and the number of lines before the body."""
    found = _SEPARATOR.search(text)
    if found is None:
        return text, "", text.count("\n")
    return text[: found.start()], text[found.end() :], text.count("\n", 0, found.end())
