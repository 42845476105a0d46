"""Figures: metrics with intervals, plots, tables, robustness."""
