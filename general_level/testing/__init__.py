"""A gateway in memory, for the tests of everybody who writes against the labs' services."""

from general_level.testing.gateway import FakeGateway

__all__ = ["FakeGateway"]
