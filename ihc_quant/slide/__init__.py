"""Files to pixels. The only folder that imports openslide and tifffile."""
