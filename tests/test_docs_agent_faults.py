"""What docs/fleet.md says that the log of an agent says is in the agent."""

import re

from documents import ROOT, text_of

from probes.agent.exit_codes import FAILED, OK, WRONG_USAGE

_, _, SECTION = text_of("docs/fleet.md").partition(
    "## If an agent does not start or report\n"
)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in re.findall(r"^\|.*\|$", SECTION.partition("\n## ")[0], re.MULTILINE)[2:]
]


def joined_texts() -> str:
    """The sources of the agent, and of the server's answers to it, with texts over
    several lines put together."""
    sources = "\n".join(
        path.read_text("utf-8")
        for room in ("probes", "collectors/ingest")
        for path in sorted((ROOT / room).rglob("*.py"))
    )
    return re.sub(r'"\s*\n\s*f?"', "", sources)


def test_what_the_table_quotes_from_the_log_is_in_the_agent() -> None:
    texts = joined_texts()
    quoted = [text for row in ROWS for text in re.findall(r"`([^`]+)`", row[1])]
    assert len(quoted) > 20
    for text in quoted:
        # What stands for a name or a number is filled in by the agent.
        parts = re.split(r"503|…", text)
        assert all(part.strip() in texts for part in parts), text


def test_the_codes_of_the_table_are_those_of_the_agent() -> None:
    codes = {row[2] for row in ROWS}
    assert codes == {"", str(FAILED), str(WRONG_USAGE)}
    assert OK == 0
