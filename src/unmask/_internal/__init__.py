"""Plumbing that knows no face.

Nothing here is public, and nothing here imports from the rest but errors and types.
"""
