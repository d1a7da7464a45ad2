"""The page "Is it me?": the verdict, what to do, what is collected, what was sent.

One file that stands alone: no script, no picture, nothing fetched, and a policy in its
head that forbids all of it. Pure; `probes/diagnosis/is_it_me.py` writes and opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as escape_html
from pathlib import Path

from probes.diagnosis.agent_status import (
    STALE_MS,
    Status,
    ago,
    capital,
    figures,
    judged,
    known,
    place,
    troubles,
)
from probes.diagnosis.local_time import local_time_text
from probes.diagnosis.outcome_text import TITLES, WORDS
from probes.diagnosis.sent_log import Sending
from probes.diagnosis.verdict import LaptopVerdict
from probes.diagnosis.what_we_collect import NEVER, how_often
from probes.wire.display import isolated
from probes.wire.failure import Outcome
from probes.wire.measurements import MEASUREMENTS

STYLE = Path(__file__).with_name("page.css")
MOST_SENDINGS = 20


def page(
    status: Status | None, sent: Sequence[Sending], now_ms: int, style: str
) -> str:
    """The whole page as HTML. `sent`: the newest first; `style`: the style sheet."""
    if status is None:
        body = _verdict_box(
            LaptopVerdict(False, "the agent has not run on this laptop yet"), ""
        )
    else:
        body = "".join(
            [
                _found(status, now_ms),
                _incidents(status, now_ms),
                _seen(status, now_ms),
            ]
        )
    return f"""<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'">
<title>Is it me?</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><p>Towpath on this laptop</p><h1>Is it me?</h1></header>
<main id="main" tabindex="-1">
{body}{_collected()}{_sent(sent, now_ms)}{_yours(status)}</main>
<footer>
<p>Made on this laptop at {_time(now_ms)}, and readable by you alone. Opening it sends \
nothing. To look again, choose “Is it me?” once more, or type \
<code>towpath-agent is-it-me</code>.</p>
</footer>
</body>
</html>
"""


def _found(status: Status, now_ms: int) -> str:
    verdict = judged(status, now_ms)
    age_ms = now_ms - status.written_ms
    parts = []
    if status.stopped or age_ms > STALE_MS:
        parts.append(
            _note(f"The agent is not running; it was last seen {ago(age_ms)}.")
        )
    parts.append(_verdict_box(verdict, place(status)))
    if status.quiet:
        end = (
            " It ends by itself; <code>towpath-agent resume</code> ends it now."
            if status.paused_ms > now_ms
            else ""
        )
        parts.append(_note(f"{escape(capital(status.quiet))}.{end}", safe=True))
    parts += [
        _note(f"{capital(each).rstrip('.')}.") for each in troubles(status, now_ms)
    ]
    if verdict.bad:
        items = "".join(
            f"<li><strong>{escape(capital(each.says))}.</strong> "
            f"{escape(each.do)}</li>\n"
            for each in verdict.bad
        )
        first = " The first one first." if len(verdict.bad) > 1 else ""
        parts.append(f"<h2>What to do</h2>\n<p>{first}</p>\n<ol>\n{items}</ol>\n")
    if verdict.fine:
        items = "".join(
            f"<li>{escape(capital(each.says))}</li>\n" for each in verdict.fine
        )
        parts.append(f"<h2>What is in order</h2>\n<ul>\n{items}</ul>\n")
    return "".join(parts).replace("<p></p>\n", "")


def _verdict_box(verdict: LaptopVerdict, where: str) -> str:
    kind, word = ("ok", "✔ All well") if verdict.good else ("bad", "✖ Not well")
    return (
        f'<div class="verdict {kind}">\n<p class="word">{word}</p>\n'
        f'<p class="says">{escape(capital(verdict.headline))}.</p>\n</div>\n'
        + (f"<p>{escape(where)}</p>\n" if where else "")
    )


def _incidents(status: Status, now_ms: int) -> str:
    if status.policy_ms is None:
        said = "<p>The council's server has not been asked yet.</p>\n"
    else:
        at = f"<p>As the council's server said {ago(now_ms - status.policy_ms)}.</p>\n"
        items = "".join(f"<li>{escape(each)}</li>\n" for each in known(status, now_ms))
        said = (
            f"{at}<ul>\n{items}</ul>\n"
            if items
            else f"<p>None that you should feel.</p>\n{at}"
        )
    return f"<h2>What your council knows of</h2>\n{said}"


def _seen(status: Status, now_ms: int) -> str:
    if not status.last:
        return ""
    rows = []
    for each in status.last:
        whom = f" ({each.target})" if each.target else ""
        name = capital(TITLES.get(each.probe, each.probe)) + whom
        said = WORDS[each.outcome]
        if each.outcome is Outcome.OK:
            said = figures(each) or said
        rows.append([escape(name), escape(said), escape(ago(now_ms - each.time_ms))])
    table = _table("The last result of each", ("What", "Result", "When"), rows)
    return f"<h2>What was last seen</h2>\n{table}"


def _collected() -> str:
    rows = [
        [
            escape(capital(TITLES.get(each.name, each.name))),
            escape(capital(each.meaning)),
            f"{how_often(each)}, kept {each.retention_days} days",
        ]
        for each in MEASUREMENTS
    ]
    never = "".join(f"<li>{escape(capital(each))}</li>\n" for each in NEVER)
    table = _table(
        "Unless your council says otherwise", ("What", "Meaning", "How often"), rows
    )
    return (
        "<h2>What is collected</h2>\n<p>Kept apart under a pseudonym of this laptop; "
        "shared pages show groups of at least ten laptops (your council may have set "
        "another number, never under five). Every single field: "
        "<code>towpath-agent what-we-collect</code>.</p>\n"
        f"{table}<details><summary>What is never collected</summary>\n"
        f"<ul>\n{never}</ul>\n</details>\n"
    )


def _sent(sent: Sequence[Sending], now_ms: int) -> str:
    rows = [
        [
            _time(each.sent_ms),
            escape(", ".join(TITLES.get(kind, kind) for kind in each.kinds)),
            f"{each.bytes / 1000:.1f} kB",
        ]
        for each in sent[:MOST_SENDINGS]
    ]
    table = (
        _table(
            f"The last {len(rows)} deliveries, before they were packed",
            ("When", "Kinds", "Size"),
            rows,
        )
        if rows
        else "<p>Nothing has been sent.</p>\n"
    )
    return (
        "<h2>What was sent</h2>\n<p>Word for word: <code>towpath-agent sent</code>."
        f"</p>\n{table}"
    )


def _yours(status: Status | None) -> str:
    longest_s = 86_400 if status is None else status.longest_pause_s
    pause = (
        "<li>Have nothing measured for an hour: <code>towpath-agent pause 1h</code> "
        f"(at most {_length(longest_s)} at a time)</li>\n"
        if longest_s
        else ""
    )
    return (
        "<h2>What you can do</h2>\n<ul>\n"
        f"{pause}"
        "<li>Measure now and see the figures, without sending them: "
        "<code>towpath-agent once</code></li>\n"
        "<li>Say that this network is your home: <code>towpath-agent place home</code>"
        "</li>\n</ul>\n"
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells come escaped; the first one of a row is its header."""
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}">\n<table class="stack">\n'
        f"<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>\n</div>\n"
    )


def _note(text: str, safe: bool = False) -> str:
    return f'<p class="note">{text if safe else escape(text)}</p>\n'


def _time(at_ms: int) -> str:
    return escape(local_time_text(at_ms))


def _length(seconds: int) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}" + ("" if count == 1 else "s")
    return f"{seconds} seconds"


def escape(text: str) -> str:
    """`text` as the page may hold it."""
    return escape_html(isolated(text))
