"""Words and signs of InfluxQL, to put together at random."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        *(
            "SELECT",
            "FROM",
            "WHERE",
            "GROUP BY",
            "time(1m)",
            "fill(null)",
            "SHOW",
            "AND",
        ),
        *("max(real)", '"a"', "'x'", "/^x$/", "=~", "=", "(", ")", ",", ";", "plain"),
        *("TAG VALUES", "WITH KEY", "OR", "now()", "-", "1h", "5", "time", ">=", "AS"),
        *(
            "tz('Europe/London')",
            "LIMIT",
            "SUM",
            "*",
            "::tag",
            '"',
            "'",
            "/",
            "--",
            "/*",
        ),
    ]
)
