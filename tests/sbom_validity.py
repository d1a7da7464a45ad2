"""Whether an SBOM is valid CycloneDX."""

from __future__ import annotations


def check_valid(text: str) -> None:
    """The document is one of CycloneDX 1.6."""
    # The grammars behind it take a second to load, and few tests need them.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
