"""The far end of what agents measure: STAMP (UDP), ndt7 (WebSocket), HTTPS echo."""

from collectors.reflector.reflector import ReflectorService
from collectors.reflector.reflector_config import ReflectorConfig

__all__ = ["ReflectorConfig", "ReflectorService"]
