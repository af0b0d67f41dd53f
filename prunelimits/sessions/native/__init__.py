"""The compiled library that overwrites what is pruned, and what calls it."""
