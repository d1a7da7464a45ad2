"""The page "Is it me?": the verdict, what to do, what is collected, what was sent.

A single file without scripts or pictures. It fetches nothing, and the policy in its
head forbids it to. Pure; `probes/diagnosis/is_it_me.py` writes and opens the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as escape_html
from pathlib import Path

from probes.diagnosis.agent_status import (
    STALE_MS,
    Status,
    ago,
    current_verdict,
    delivery_problems,
    known_incidents,
    quiet_sentences,
    status_place,
)
from probes.diagnosis.local_time import local_time_text
from probes.diagnosis.result_figures import figures
from probes.diagnosis.sent_log import Sending
from probes.diagnosis.support_text import (
    WHAT_IT_DOES,
    code_sentence,
    look_sentences,
)
from probes.diagnosis.what_we_collect import NEVER, period_text
from probes.wire.display import isolated
from probes.wire.durations import exact_duration_text
from probes.wire.measurements import MEASUREMENTS
from probes.wire.number_text import capitalised
from probes.wire.probe_list import probe_about, probe_title
from probes.wire.result_summary import result_title, summary
from probes.wire.verdict import LaptopVerdict

STYLE = Path(__file__).with_name("page.css")
MOST_SENDINGS = 20


def page(
    status: Status | None, sent: Sequence[Sending], now_ms: int, style: str
) -> str:
    """The whole page as HTML. `sent` has the newest first; `style` is the style
    sheet."""
    if status is None:
        body = _verdict_box("none", "No results yet", "the agent has not run here yet")
    else:
        body = "".join(
            [
                _verdict(status, now_ms),
                _incidents(status, now_ms),
                _support(status, now_ms),
                _measurements(status, now_ms),
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
<a class="skip" href="#main">Skip to main content</a>
<header><p>Towpath on this laptop</p><h1>Is it me?</h1></header>
<main id="main" tabindex="-1">
{body}{_collected()}{_sent(sent, now_ms)}{_choices(status)}</main>
<footer>
<p>This page was made on this laptop at {_time(now_ms)}. Only you can read it, and \
opening it sends nothing. To get a new one, choose “Is it me?” again, or type \
<code>towpath-agent is-it-me</code>.</p>
</footer>
</body>
</html>
"""


def _verdict(status: Status, now_ms: int) -> str:
    verdict = current_verdict(status, now_ms)
    age_ms = now_ms - status.written_ms
    parts = []
    if status.stopped or age_ms > STALE_MS:
        parts.append(_note(f"The agent is not running. It last ran {ago(age_ms)}."))
    kind, word = ("ok", "✔ No problem found") if verdict.good else ("bad", "✖ Problem")
    if not verdict.measured:
        kind, word = "none", "? Not measured"
    parts.append(_verdict_box(kind, word, verdict.headline))
    parts.append(f"<p>{escape(status_place(status))}</p>\n")
    for text in quiet_sentences(status):
        end = (
            " Measuring starts again by itself. To start it now, type "
            "<code>towpath-agent resume</code>."
            if status.paused_ms > now_ms and not status.stops
            else ""
        )
        parts.append(_note_html(f"{escape(text)}{end}"))
    parts += [
        _note(f"{capitalised(problem).rstrip('.')}.")
        for problem in delivery_problems(status)
    ]
    return "".join(parts) + _what_to_do(verdict)


def _what_to_do(verdict: LaptopVerdict) -> str:
    parts = []
    if verdict.problems:
        items = "".join(
            f"<li><strong>{escape(capitalised(problem.says))}.</strong> "
            f"{escape(problem.advice)}</li>\n"
            for problem in verdict.problems
        )
        order = "<p>Start with the first.</p>\n" if len(verdict.problems) > 1 else ""
        parts.append(f"<h2>What to do</h2>\n{order}<ol>\n{items}</ol>\n")
    if verdict.healthy:
        items = "".join(
            f"<li>{escape(capitalised(finding.says))}</li>\n"
            for finding in verdict.healthy
        )
        parts.append(f"<h2>What is working</h2>\n<ul>\n{items}</ul>\n")
    return "".join(parts)


def _verdict_box(kind: str, word: str, headline: str) -> str:
    return (
        f'<div class="verdict {kind}">\n<p class="word">{word}</p>\n'
        f'<p class="headline">{escape(capitalised(headline))}.</p>\n</div>\n'
    )


def _incidents(status: Status, now_ms: int) -> str:
    if status.policy_ms is None:
        body = "<p>This laptop has not been able to ask the council's server yet.</p>\n"
    else:
        items = "".join(
            f"<li>{escape(incident)}</li>\n"
            for incident in known_incidents(status, now_ms)
        )
        problems = (
            f"<ul>\n{items}</ul>\n"
            if items
            else "<p>None that should affect you.</p>\n"
        )
        body = f"{problems}<p>Checked {ago(now_ms - status.policy_ms)}.</p>\n"
    return f"<h2>Problems your council knows of</h2>\n{body}"


def _support(status: Status, now_ms: int) -> str:
    code = code_sentence(status.support, now_ms)
    if code:
        shown = f"<p><strong>{escape(code)}</strong></p>\n<p>{WHAT_IT_DOES}</p>\n"
    else:
        shown = (
            "<p>If the service desk asks for a support code, type <code>towpath-agent "
            f"support-code</code>. {WHAT_IT_DOES}</p>\n"
        )
    looks = "".join(
        f"<li>{escape(text)}</li>\n" for text in look_sentences(status.support)
    )
    looked = f"<ul>\n{looks}</ul>\n" if looks else "<p>Nobody has looked.</p>\n"
    return (
        f"<h2>Support code</h2>\n{shown}<h3>Who has looked, in 30 days</h3>\n{looked}"
    )


def _measurements(status: Status, now_ms: int) -> str:
    if not status.last:
        return ""
    plain = [
        [
            escape(result_title(result)),
            escape(summary(result)),
            escape(ago(now_ms - result.time_ms)),
        ]
        for result in status.last
    ]
    technical = [
        [
            escape(result_title(result)),
            escape(figures(result) or "none"),
            escape(result.outcome.value),
        ]
        for result in status.last
    ]
    return (
        "<h2>Latest measurements</h2>\n"
        + _table("The last result of each kind", ("What", "Result", "When"), plain)
        + "<details><summary>Figures for IT support</summary>\n"
        + _table("The same results in full", ("What", "Figures", "Outcome"), technical)
        + "</details>\n"
    )


def _collected() -> str:
    rows = [
        [
            escape(capitalised(probe_title(measurement.name))),
            escape(probe_about(measurement.name)),
            f"{period_text(measurement)}, kept {measurement.retention_days} days",
        ]
        for measurement in MEASUREMENTS
    ]
    never = "".join(f"<li>{escape(capitalised(text))}</li>\n" for text in NEVER)
    table = _table(
        "How often, unless your council has set another interval",
        ("What", "What it looks at", "How often"),
        rows,
    )
    return (
        "<h2>What is collected</h2>\n<p>Results are stored under a made-up name for "
        "this laptop (a pseudonym), not under your name. Shared pages show groups of "
        "at least ten laptops "
        "(your council may have set another number, never under five). To see every "
        "field, type <code>towpath-agent what-we-collect</code>.</p>\n"
        f"{table}<details><summary>What is never collected</summary>\n"
        f"<ul>\n{never}</ul>\n</details>\n"
    )


def _sent(sent: Sequence[Sending], now_ms: int) -> str:
    rows = [
        [
            _time(sending.sent_ms),
            escape(", ".join(probe_title(kind) for kind in sending.kinds)),
            f"{sending.bytes / 1000:.1f} kB",
        ]
        for sending in sent[:MOST_SENDINGS]
    ]
    if not rows:
        return "<h2>What was sent</h2>\n<p>Nothing has been sent.</p>\n"
    table = _table(
        "The latest reports sent; sizes are before compression",
        ("When", "What", "Size"),
        rows,
    )
    return (
        "<h2>What was sent</h2>\n<p>To see exactly what was sent, type "
        f"<code>towpath-agent sent</code>.</p>\n{table}"
    )


def _choices(status: Status | None) -> str:
    longest_s = 86_400 if status is None else status.longest_pause_s
    pause = (
        "<li>Stop measuring for an hour: <code>towpath-agent pause 1h</code> "
        f"(at most {exact_duration_text(longest_s)} at a time)</li>\n"
        if longest_s
        else ""
    )
    return (
        "<h2>What you can do</h2>\n<ul>\n"
        f"{pause}"
        "<li>Measure now and see the results, without sending them: "
        "<code>towpath-agent once</code></li>\n"
        "<li>Tell the agent that this network is your home: "
        "<code>towpath-agent place home</code></li>\n</ul>\n"
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML. The cells are escaped already; a row's first cell is its
    header."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll" role="group" '
        f'aria-label="{escape(caption)}">\n<table class="stack">\n'
        f"<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>\n</div>\n"
    )


def _note(text: str) -> str:
    return _note_html(escape(text))


def _note_html(html: str) -> str:
    return f'<p class="note">{html}</p>\n'


def _time(at_ms: int) -> str:
    return escape(local_time_text(at_ms))


def escape(text: str) -> str:
    """`text` escaped for the page, with hidden characters shown by number."""
    return escape_html(isolated(text))
