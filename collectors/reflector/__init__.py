"""The server that agents test against: STAMP (UDP), ndt7 (WebSocket), HTTPS echo."""

from collectors.reflector.reflector import ReflectorService
from collectors.reflector.reflector_config import ReflectorConfig

__all__ = ["ReflectorConfig", "ReflectorService"]
