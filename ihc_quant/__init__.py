"""ihc_quant: quantifies CD4, CD8 and CCR4 immunostains on whole-slide images. Research use only."""

__version__ = "0.1.0"
