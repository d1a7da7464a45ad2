"""What holds for all tests."""

from hypothesis import settings

# A busy machine fails no test by the clock: speed is for benchmarks.
settings.register_profile("towpath", deadline=None)
settings.load_profile("towpath")
