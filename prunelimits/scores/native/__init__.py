"""The compiled library that finds orders of removal, and what calls it."""
