"""Tests of connectivity, a package so that they can share their networks."""
