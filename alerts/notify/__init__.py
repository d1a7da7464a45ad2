"""Telling people: pages, channels, who is told when, and delivery."""

from alerts.notify.delivery_result import Notifier, Partly, Refused, Retry
from alerts.notify.page import Page, build
from alerts.notify.routing import Route, RoutingConfig

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
