"""What train.py needs: data sources, splits, augmentation and losses."""
