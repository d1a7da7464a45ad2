"""The far end of what agents measure: STAMP (UDP), ndt7 (WebSocket), HTTPS echo."""

from collectors.reflector.config import ReflectorConfig
from collectors.reflector.reflector import Reflector

__all__ = ["Reflector", "ReflectorConfig"]
