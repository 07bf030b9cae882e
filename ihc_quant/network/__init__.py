"""Pixels to maps: the network, its weights and the runtimes that run it."""
