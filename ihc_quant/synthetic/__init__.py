"""Painted slides whose cells are known by construction."""
