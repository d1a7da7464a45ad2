"""Notifications: the text of a page, who gets it when, channels and delivery."""

from alerts.notify.delivery_result import (
    DeliveryRefused,
    Notifier,
    PartlyDelivered,
    RetryLater,
)
from alerts.notify.page import Page, PageSettings, build_page
from alerts.notify.routing import Route, RoutingConfig

__all__ = [
    "DeliveryRefused",
    "Notifier",
    "Page",
    "PageSettings",
    "PartlyDelivered",
    "RetryLater",
    "Route",
    "RoutingConfig",
    "build_page",
]
