"""Grafana's alerting as far as the exported rules use it: their queries are asked of a
real InfluxDB at the time of the evaluation, and reduce, math and threshold expressions
and the states of an alert follow Grafana's source (12.x: pkg/expr/threshold.go and
hysteresis.go, pkg/services/ngalert/state/state.go and manager.go)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Labels = frozenset[tuple[str, str]]
Numbers = dict[Labels, float]
Ask = Callable[[str], list[dict[str, Any]]]


@dataclass
class Instance:
    """The state of a rule for one set of labels. `reason`: why it is not the result's;
    a recovery threshold counts only for states without one."""

    state: str = "Normal"
    starts_ms: int = 0
    evaluated_ms: int = 0
    reason: str = ""


@dataclass
class GrafanaAlertRule:
    """One rule of the exported file, evaluated every `interval_ms`."""

    rule: Mapping[str, Any]
    interval_ms: int
    instances: dict[Labels, Instance] = field(default_factory=dict)

    @property
    def firing(self) -> set[Labels]:
        """The alerts for which notifications are sent."""
        return {
            labels
            for labels, instance in self.instances.items()
            if instance.state in ("Alerting", "Recovering")
        }

    @property
    def queries(self) -> list[str]:
        return [
            node["refId"]
            for node in self.rule["data"]
            if node["datasourceUid"] != "__expr__"
        ]

    def query(self, ref: str, now_ms: int) -> str:
        """The InfluxQL that Grafana's backend sends."""
        [node] = [node for node in self.rule["data"] if node["refId"] == ref]
        from_ms = now_ms - node["relativeTimeRange"]["from"] * 1000
        time_filter = f"time >= {from_ms}ms and time <= {now_ms}ms"
        text: str = node["model"]["query"]
        text = text.replace("$timeFilter", time_filter).replace("$__interval", "1m")
        assert "$" not in text
        return text

    def evaluate(self, now_ms: int, answers: Mapping[str, Sequence[Any]]) -> None:
        """`answers`: the series of each query, as InfluxDB returns them."""
        values: dict[str, Any] = dict(answers)
        for node in self.rule["data"]:
            if node["datasourceUid"] == "__expr__":
                values[node["refId"]] = self._expression(node["model"], values)
        results: Numbers = values[self.rule["condition"]]
        if results:
            for labels, value in results.items():
                self._transition(labels, value != 0, now_ms)
        else:
            self._no_data(now_ms)
        self._end_missing(now_ms)

    def _expression(
        self, model: Mapping[str, Any], values: Mapping[str, Any]
    ) -> Numbers:
        match model["type"]:
            case "reduce":
                assert model["reducer"] == "last"
                return _last(values[model["expression"]])
            case "math":
                return _math(model["expression"], values)
            case "threshold":
                [condition] = model["conditions"]
                numbers: Numbers = values[model["expression"]]
                return {
                    labels: float(self._passes(condition, labels, value))
                    for labels, value in numbers.items()
                }
        raise AssertionError(model["type"])

    def _passes(
        self, condition: Mapping[str, Any], labels: Labels, value: float
    ) -> bool:
        instance = self.instances.get(labels)
        if (
            "unloadEvaluator" in condition
            and instance is not None
            and instance.state in ("Alerting", "Pending")
            and not instance.reason
        ):
            return not _compare(condition["unloadEvaluator"], value)
        return _compare(condition["evaluator"], value)

    def _transition(self, labels: Labels, is_bad: bool, now_ms: int) -> None:
        instance = self.instances.setdefault(labels, Instance())
        instance.evaluated_ms, instance.reason = now_ms, ""
        if is_bad:
            self._alerting(instance, now_ms)
        else:
            self._normal(instance, now_ms)

    def _alerting(self, instance: Instance, now_ms: int) -> None:
        waits_ms = seconds(self.rule["for"]) * 1000
        if instance.state == "Alerting":
            return
        if instance.state == "Pending":
            if now_ms - instance.starts_ms >= waits_ms:
                instance.state, instance.starts_ms = "Alerting", now_ms
            return
        is_new = instance.state != "Recovering" and waits_ms
        instance.state = "Pending" if is_new else "Alerting"
        instance.starts_ms = now_ms

    def _normal(self, instance: Instance, now_ms: int) -> None:
        keeps_ms = seconds(self.rule.get("keepFiringFor", "0s")) * 1000
        if instance.state == "Recovering":
            if now_ms - instance.starts_ms >= keeps_ms:
                instance.state = "Normal"
        elif instance.state == "Alerting" and keeps_ms:
            instance.state, instance.starts_ms = "Recovering", now_ms
        else:
            instance.state = "Normal"

    def _no_data(self, now_ms: int) -> None:
        if self.rule["noDataState"] == "Alerting":
            self.instances.setdefault(frozenset(), Instance())
        for instance in self.instances.values():
            instance.evaluated_ms, instance.reason = now_ms, "NoData"
            match self.rule["noDataState"], instance.state:
                case "OK", _:
                    self._normal(instance, now_ms)
                case "Alerting", _:
                    self._alerting(instance, now_ms)
                case "KeepLast", "Alerting" | "Pending":
                    self._alerting(instance, now_ms)
                case "KeepLast", _:
                    self._normal(instance, now_ms)
                case state, _:
                    raise AssertionError(state)

    def _end_missing(self, now_ms: int) -> None:
        least = self.rule.get("missing_series_evals_to_resolve", 2)
        for labels, instance in list(self.instances.items()):
            if now_ms - instance.evaluated_ms >= least * self.interval_ms:
                del self.instances[labels]


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def _last(series: Sequence[Any]) -> Numbers:
    numbers: Numbers = {}
    for one_series in series:
        values = [row[1] for row in one_series["values"] if row[1] is not None]
        labels = frozenset(one_series.get("tags", {}).items())
        if values:
            assert labels not in numbers, "two series with the same labels"
            numbers[labels] = float(values[-1])
    return numbers


def _math(expression: str, values: Mapping[str, Any]) -> Numbers:
    """Numbers are joined if the labels of one are among those of the other."""
    refs = sorted(set(re.findall(r"\$(\w+)", expression)))
    joined: dict[Labels, dict[str, float]] = {frozenset(): {}}
    for ref in refs:
        numbers: Numbers = values[ref]
        joined = {
            labels | other: {**known, ref: value}
            for labels, known in joined.items()
            for other, value in numbers.items()
            if labels <= other or other <= labels
        }
    text = re.sub(r"\$(\w+)", r"v['\1']", expression).replace("&&", "and")
    code = compile(text, "math", "eval")
    return {labels: float(eval(code, {"v": known})) for labels, known in joined.items()}


def _compare(evaluator: Mapping[str, Any], value: float) -> bool:
    [limit] = evaluator["params"]
    return bool(value > limit if evaluator["type"] == "gt" else value < limit)
