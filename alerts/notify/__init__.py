"""Telling people: pages, channels, who is told when, and delivery."""

from alerts.notify.page import Page, build
from alerts.notify.routing import Route, RoutingConfig
from alerts.notify.verdict import Notifier, Partly, Refused, Retry

__all__ = [
    "Notifier",
    "Page",
    "Partly",
    "Refused",
    "Retry",
    "Route",
    "RoutingConfig",
    "build",
]
