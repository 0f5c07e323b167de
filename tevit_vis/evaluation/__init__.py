"""The YouTube-VIS metric and submission format."""
