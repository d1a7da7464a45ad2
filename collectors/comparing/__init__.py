"""Compares Towpath's devices, ports and sensors with those of another monitor."""
