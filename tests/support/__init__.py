"""What the tests share and no user needs. ``conftest.py`` hands it to them as fixtures and hooks."""
