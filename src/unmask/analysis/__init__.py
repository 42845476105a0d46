"""Scores → people, timelines, verdicts, and how far they can be trusted."""
