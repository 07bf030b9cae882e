"""Agreement of the machine with people: matching of cells, F1 and errors of counts."""
