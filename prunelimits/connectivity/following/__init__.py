"""From a module to the steps of its forward pass: exported, then one rule an operation."""
