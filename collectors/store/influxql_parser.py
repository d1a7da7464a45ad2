"""Parses the InfluxQL that Grafana and this store's own renderer write. Pure.

It reads SELECT and the SHOW statements of Grafana's query editor. Statements that
change something are not parsed at all. What a statement means is not decided here.
"""

from __future__ import annotations

from collectors.store.influxql_expressions import ExpressionParser
from collectors.store.influxql_syntax import (
    Column,
    Expression,
    Limits,
    Regex,
    Select,
    Show,
    Statement,
)
from collectors.store.influxql_tokens import InfluxqlError

MAX_TEXT = 65_536
MAX_STATEMENTS = 50
_SHOWN = (
    "DATABASES",
    "RETENTION POLICIES",
    "MEASUREMENTS",
    "TAG KEYS",
    "TAG VALUES",
    "FIELD KEYS",
)


def parse(text: str) -> list[Statement]:
    """Returns the statements of `text`. Raises `InfluxqlError` with the place."""
    if len(text) > MAX_TEXT:
        raise InfluxqlError(
            f"the query has {len(text)} characters, the most is {MAX_TEXT}"
        )
    return _Parser(text).statements()


class _Parser(ExpressionParser):
    """Parses the statements of one text."""

    def statements(self) -> list[Statement]:
        parsed: list[Statement] = []
        while True:
            while self.skip(";"):
                pass
            if self.is_end():
                return parsed
            if len(parsed) >= MAX_STATEMENTS:
                raise InfluxqlError(f"more than {MAX_STATEMENTS} statements")
            parsed.append(self._statement())
            if not (self.is_end() or self.now.text == ";"):
                raise self.unexpected(";, EOF")

    def _statement(self) -> Statement:
        if self.is_word("SELECT"):
            return self._select()
        if self.skip_word("SHOW"):
            return self._show()
        raise self.unexpected("SELECT, SHOW")

    def _select(self) -> Select:
        self.enter()
        self.expect_word("SELECT")
        columns = self.list(self._column)
        self.expect_word("FROM")
        source: str | tuple[Select, ...]
        if self.now.text == "(":
            source = tuple(self.list(self._subquery))
        else:
            source = self._measurement()
        where = self._where()
        every_ns, offset_ns, tags = self._group_by()
        fill = self._fill()
        descending = self._order()
        limits = self._limits()
        zone = self._zone()
        self.leave()
        return Select(
            columns=tuple(columns),
            source=source,
            where=where,
            every_ns=every_ns,
            offset_ns=offset_ns,
            tags=tuple(tags),
            fill=fill,
            descending=descending,
            limits=limits,
            zone=zone,
        )

    def _subquery(self) -> Select:
        self.expect("(")
        select = self._select()
        self.expect(")")
        return select

    def _column(self) -> Column:
        expression = self.expression(3)
        alias = self.identifier() if self.skip_word("AS") else ""
        return Column(expression, alias)

    def _measurement(self) -> str:
        """A measurement, with or without database and retention policy."""
        if self.now.kind == "regex":
            raise self.unexpected("the name of a measurement")
        name = self.identifier()
        while self.skip("."):
            # `"db".."m"` names the default policy by leaving it out.
            if self.now.text != ".":
                name = self.identifier()
        return name

    def _where(self) -> Expression | None:
        return self.expression(0) if self.skip_word("WHERE") else None

    def _group_by(self) -> tuple[int, int, list[str]]:
        every_ns, offset_ns, tags = 0, 0, []
        if self.skip_word("GROUP"):
            self.expect_word("BY")
            while True:
                if self.is_word("TIME") and self.after.text == "(":
                    self.forward(2)
                    every_ns = self.duration()
                    if self.skip(","):
                        sign = -1 if self.skip("-") else 1
                        offset_ns = sign * self.duration()
                    self.expect(")")
                else:
                    tags.append(self.name().text)
                if not self.skip(","):
                    break
        return every_ns, offset_ns, tags

    def _fill(self) -> str | float:
        if not (self.is_word("FILL") and self.after.text == "("):
            return ""
        self.forward(2)
        fill: str | float
        if self.now.kind == "word":
            fill = self.next().text.lower()
            if fill not in ("null", "none", "previous", "linear"):
                self.back(1)
                raise self.unexpected("null, none, previous, a number")
        else:
            sign = -1 if self.skip("-") else 1
            fill = sign * float(self.number())
        self.expect(")")
        return fill

    def _order(self) -> bool:
        if not self.skip_word("ORDER"):
            return False
        self.expect_word("BY")
        self.expect_word("TIME")
        if self.skip_word("DESC"):
            return True
        self.skip_word("ASC")
        return False

    def _limits(self) -> Limits:
        counts: dict[str, int] = {}
        for word in ("LIMIT", "OFFSET", "SLIMIT", "SOFFSET"):
            if self.skip_word(word):
                counts[word] = int(self.number(whole=True))
        return Limits(
            # InfluxDB reads a limit of 0 as none.
            points=counts.get("LIMIT") or None,
            skipped_points=counts.get("OFFSET", 0),
            series=counts.get("SLIMIT") or None,
            skipped_series=counts.get("SOFFSET", 0),
        )

    def _zone(self) -> str:
        if not (self.is_word("TZ") and self.after.text == "("):
            return ""
        self.forward(2)
        if self.now.kind != "string":
            raise self.unexpected("a time zone such as 'Europe/London'")
        zone = self.next().text
        self.expect(")")
        return zone

    def _show(self) -> Show:
        words = [self.next_word()]
        if words[0] in ("RETENTION", "TAG", "FIELD"):
            words.append(self.next_word())
        what = " ".join(words)
        if what not in _SHOWN:
            self.back(len(words))
            raise self.unexpected(", ".join(_SHOWN))
        database = self.identifier() if self.skip_word("ON") else ""
        source: str | Regex = ""
        keys: tuple[str, ...] | Regex = ()
        sign = ""
        if self.skip_word("FROM"):
            is_regex = self.now.kind == "regex"
            source = Regex(self.next().text) if is_regex else self._measurement()
        if what == "MEASUREMENTS" and self.skip_word("WITH"):
            self.expect_word("MEASUREMENT")
            if self.skip("=~"):
                source = self.regex()
            else:
                self.expect("=")
                source = self.identifier()
        if what == "TAG VALUES":
            self.expect_word("WITH")
            self.expect_word("KEY")
            sign, keys = self._keys()
        where = self._where()
        return Show(what, database, source, keys, sign, where, self._limits())

    def _keys(self) -> tuple[str, tuple[str, ...] | Regex]:
        if self.skip_word("IN"):
            self.expect("(")
            names = self.list(lambda: self.name().text)
            self.expect(")")
            return "=", tuple(names)
        sign = self.next().text
        if sign in ("=~", "!~"):
            return sign, self.regex()
        if sign not in ("=", "!="):
            self.back(1)
            raise self.unexpected("=, !=, =~, !~, IN")
        return sign, (self.name().text,)
