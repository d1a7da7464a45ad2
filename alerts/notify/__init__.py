"""Telling people: pages, channels, who is told when, and delivery."""

from alerts.notify.delivery_result import DeliveryRefused, Notifier, Partly, Retry
from alerts.notify.page import Page, build
from alerts.notify.routing import Route, RoutingConfig

__all__ = [
    "DeliveryRefused",
    "Notifier",
    "Page",
    "Partly",
    "Retry",
    "Route",
    "RoutingConfig",
    "build",
]
