"""How important a weight is: one pure function a score."""
