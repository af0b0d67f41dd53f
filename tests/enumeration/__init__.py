"""Tests of the enumeration, a package so that they can share its brute-force oracle."""
