"""Cells to scores: calls, grades, counts that add, intervals."""
