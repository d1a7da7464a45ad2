"""Loads the profiles, and selects those for a device."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from collectors.snmp.profiles.profile_model import Body, Head, Match
from collectors.snmp.profiles.row_functions import FUNCTIONS, LIMITS
from collectors.snmp.session.oids import under
from collectors.yaml_file import parse_yaml, read_text, validate
from probes.wire.catalogue import did_you_mean

# Replaces OWN if a profile is only checked.
_NO_MODEL = "1.3.6.1.4.1.99999"
_SEPARATOR = re.compile(r"^---[ \t]*$", re.MULTILINE)


class ProfileError(ValueError):
    """The profiles cannot be used; `findings` are the reasons, a sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class Profile:
    """One file. The part below its head is parsed on first use."""

    def __init__(
        self, file: Path, head: Head, text: str, first: int, own: str = _NO_MODEL
    ) -> None:
        """`first`: the number of lines before `text`; `own`: the OID that replaces
        OWN."""
        self.file, self.head = file, head
        self._text, self._first, self._own = text, first, own
        self._models: dict[str, Profile] = {}

    def for_model(self, object_id: str) -> Profile:
        """Return the profile for one model: itself, or a copy with the model's OID."""
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
        """Return True if the profile is for every device."""
        return not self.head.match

    @cached_property
    def body(self) -> Body:
        """Parse and return the body. Raises `ProfileError`."""
        findings: list[str] = []
        text = self._text
        if self.head.own_arcs is not None:
            text = text.replace("OWN", self._own)
        document, lines = parse_yaml(self.file, text, findings, self._first)
        body = validate(self.file, document or {}, lines, Body, findings)
        if body is not None:
            for name, table in body.tables.items():
                for section, at, item in table.items:
                    limits = getattr(item, "limits", None)
                    for key, part, known in (
                        ("function", item, FUNCTIONS),
                        ("limits.function", limits, LIMITS),
                    ):
                        function = getattr(part, "function", None)
                        if function is not None and function not in known:
                            path = f"tables.{name}.{section}[{at}].{key}"
                            findings.append(
                                f"{self.file}:{lines.line(path)}: {path}: no function "
                                f"{function!r}{did_you_mean(function, known)}"
                            )
        if findings or body is None:
            raise ProfileError(findings)
        return body


class Profiles:
    """All profiles: Towpath's own and a council's."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self._profiles = tuple(profiles)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    def check(self) -> None:
        """Parse every body. Raises `ProfileError` with all findings."""
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
        read_text: Callable[[str], Awaitable[str | None]],
    ) -> list[Profile]:
        """Return the profiles for a device, the most specific first.

        `read_text` returns the text of an instance, or None if there is none.
        """
        ranked: list[tuple[tuple[int, int], Profile]] = []
        for profile in self._profiles:
            rank = await _rank_head(
                profile.head, object_id or "", descr or "", read_text
            )
            if rank is not None:
                ranked.append((rank, profile.for_model(object_id or "")))
        ranked.sort(key=lambda pair: pair[0], reverse=True)
        return [profile for _, profile in ranked]


async def _rank_head(
    head: Head,
    object_id: str,
    descr: str,
    read_text: Callable[[str], Awaitable[str | None]],
) -> tuple[int, int] | None:
    """Return how specific the head is for this device; None if it does not match."""
    if not head.match:
        return (0, 0)
    best: tuple[int, int] | None = None
    for match in head.match:
        rank = _rank_match(match, object_id, descr)
        if rank is None or (best is not None and rank <= best):
            continue
        if match.answers is not None:
            answer = await read_text(match.answers.oid)
            if answer is None or not re.search(match.answers.find or "", answer):
                continue
        best = rank
    return best


def _rank_match(match: Match, object_id: str, descr: str) -> tuple[int, int] | None:
    """Return (arcs of the matching OID, number of other conditions), or None if it does
    not match. Pure."""
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
    if match.descr and not any(re.search(pattern, descr) for pattern in match.descr):
        return None
    if any(re.search(pattern, descr) for pattern in match.not_descr):
        return None
    more = bool(match.descr) + bool(match.answers)
    return (length, more)


def catalogue_folder() -> Path:
    """Return the folder of Towpath's own profiles."""
    return Path(str(resources.files("collectors.snmp.profiles"))) / "catalog"


@cache
def load(folder: Path | None = None) -> Profiles:
    """Load Towpath's profiles and those in `folder`, which win if names are the same.

    Raises `ProfileError` with all problems in the heads: file, line, dotted path, what
    was expected, did you mean.
    """
    sources = {path.stem: path for path in sorted(catalogue_folder().glob("*.yaml"))}
    if folder is not None:
        sources |= {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return load_files(list(sources.values()))


def load_files(sources: Sequence[Path]) -> Profiles:
    """Load the profiles of these files only."""
    findings: list[str] = []
    profiles = []
    for source in sources:
        text = read_text(source, findings)
        if text is None:
            continue
        head_text, body_text, first = _split_documents(text)
        before = len(findings)
        document, lines = parse_yaml(source, head_text, findings)
        if len(findings) > before:
            continue
        head = validate(source, document or {}, lines, Head, findings)
        if head is not None:
            profiles.append(Profile(source, head, body_text, first))
    if findings:
        raise ProfileError(findings)
    return Profiles(profiles)


def _split_documents(text: str) -> tuple[str, str, int]:
    """Return head, body, and the number of lines before the body."""
    separator = _SEPARATOR.search(text)
    if separator is None:
        return text, "", text.count("\n")
    end = separator.end()
    return text[: separator.start()], text[end:], text.count("\n", 0, end)
