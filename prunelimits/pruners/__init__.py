"""Pruning methods: rules, scores and the catalogue of published ones."""
