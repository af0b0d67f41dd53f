"""Tests of the scores, a package so that they can share their cases and oracles."""
