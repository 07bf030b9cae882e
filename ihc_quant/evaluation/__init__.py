"""Agreement of the machine with people: matching of cells, F1, panoptic quality, errors of counts."""
