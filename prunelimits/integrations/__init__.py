"""Ready-made callbacks for other people's trainers: `integrations.lightning`, `.trainer`.

Each module imports its package, and nothing else does.
"""
