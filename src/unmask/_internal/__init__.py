"""Plumbing that knows no face: nothing here is public, and nothing here imports from the rest but
errors and types.
"""
