"""Measurements and the demo: programs to run by hand, from the repository's root. Nothing imports them but tests."""
