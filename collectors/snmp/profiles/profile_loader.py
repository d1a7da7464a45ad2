"""Loads the profiles, and selects those for a device."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from collectors.snmp.profiles.profile_match import MatchEvidence, Rank, rank_head
from collectors.snmp.profiles.profile_model import Body, Head
from collectors.snmp.profiles.row_functions import FUNCTIONS, LIMITS
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
        self._copies: dict[str, Profile] = {}

    def for_model(self, object_id: str) -> Profile:
        """Return the profile for one model: itself, or a copy with the model's OID."""
        if self.head.own_arcs is None:
            return self
        own = ".".join(object_id.split(".")[: self.head.own_arcs])
        if own not in self._copies:
            self._copies[own] = Profile(
                self.file, self.head, self._text, self._first, own
            )
        return self._copies[own]

    def below(self, root: str | None) -> Profile:
        """Return the profile with its MIB below `root`: itself, or a copy."""
        own_root = self.head.root
        if root is None or own_root is None or root == own_root:
            return self
        if root not in self._copies:
            head = self.head.model_copy(update={"root": root})
            text = re.sub(rf"(?<![\d.]){re.escape(own_root)}(?=\.)", root, self._text)
            self._copies[root] = Profile(self.file, head, text, self._first, self._own)
        return self._copies[root]

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def is_general(self) -> bool:
        """Return True if the profile is for every device."""
        return self.head.scope == "any"

    @property
    def is_family(self) -> bool:
        """Return True if the profile has the tables of a maker's MIB, for whichever of
        its devices have them."""
        return self.head.root is not None

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
        self._by_name = {profile.name: profile for profile in profiles}

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    def check(self, folder: Path | None = None) -> None:
        """Parse every body, or those of the files in `folder`: Towpath's own are
        tested. Raises `ProfileError` with all findings."""
        findings: list[str] = []
        for profile in self._profiles:
            if folder is not None and profile.file.parent != folder:
                continue
            try:
                _ = profile.body
            except ProfileError as error:
                findings += error.findings
        if findings:
            raise ProfileError(findings)

    async def find_for_device(self, evidence: MatchEvidence) -> list[Profile]:
        """Return the profiles for a device, the most specific first, each followed by
        those that it inherits."""
        ranked: list[tuple[Rank, Profile]] = []
        for profile in self._profiles:
            rank = await rank_head(profile.head, evidence)
            if rank is not None:
                ranked.append((rank, profile.for_model(evidence.object_id)))
        ranked.sort(key=lambda pair: pair[0], reverse=True)
        found: dict[tuple[str, str | None], Profile] = {}
        for _, profile in ranked:
            for each in self._with_inherited(profile, evidence.object_id):
                found.setdefault((each.name, each.head.root), each)
        return list(found.values())

    def _with_inherited(self, profile: Profile, object_id: str) -> Iterable[Profile]:
        """Yield `profile` and what it inherits, directly or not."""
        todo, seen = [profile], set()
        while todo:
            each = todo.pop(0)
            if each.name in seen:
                continue
            seen.add(each.name)
            yield each
            for name, root in each.head.inherits.items():
                todo.append(self._by_name[name].for_model(object_id).below(root))


def shipped_files() -> list[Path]:
    """Return the files of Towpath's own profiles: those of known devices, and those
    with the tables of all models of a maker, drafted from its MIBs."""
    folder = Path(str(resources.files("collectors.snmp.profiles")))
    return sorted(
        file
        for part in ("catalog", "mib_tables")
        for file in folder.glob(f"{part}/*.yaml")
    )


@cache
def load(folder: Path | None = None) -> Profiles:
    """Load Towpath's profiles and those in `folder`, which win if names are the same.

    Raises `ProfileError` with all problems in the heads: file, line, dotted path, what
    was expected, did you mean.
    """
    sources = {path.stem: path for path in shipped_files()}
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
    names = {profile.name: profile for profile in profiles}
    findings += [f for p in profiles for f in _check_inherited(p, names)]
    if findings:
        raise ProfileError(findings)
    return Profiles(profiles)


def _check_inherited(profile: Profile, names: Mapping[str, Profile]) -> Iterator[str]:
    """Yield a finding for each profile that cannot be inherited as it is named."""
    for name, root in profile.head.inherits.items():
        if name not in names:
            yield (
                f"{profile.file}:1: inherits: no profile {name!r}"
                f"{did_you_mean(name, names)}"
            )
        elif root is not None and names[name].head.root is None:
            yield (
                f"{profile.file}:1: inherits.{name}: the profile {name!r} has no root "
                "in its head that another OID could replace"
            )


def _split_documents(text: str) -> tuple[str, str, int]:
    """Return head, body, and the number of lines before the body."""
    separator = _SEPARATOR.search(text)
    if separator is None:
        return text, "", text.count("\n")
    end = separator.end()
    return text[: separator.start()], text[end:], text.count("\n", 0, end)
