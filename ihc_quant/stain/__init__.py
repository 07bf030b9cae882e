"""Colour to optical density: density, unmixing, stain vectors and white point of a slide."""
