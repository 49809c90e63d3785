"""The web server of these tests."""

from webserver import authority, site  # noqa: F401 - fixtures
