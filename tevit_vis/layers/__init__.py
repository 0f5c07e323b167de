"""Network parts in pure torch and mmcv: no detector, no dataset."""
