"""Notifications: the text of a page, who gets it when, channels and delivery."""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from alerts.notify.delivery_result import (
        DeliveryRefused,
        Notifier,
        PartlyDelivered,
        RetryLater,
    )
    from alerts.notify.page import Page, PageSettings, build_page
    from alerts.notify.routing import Route, RoutingConfig
else:
    __getattr__ = export_late(__name__)

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
