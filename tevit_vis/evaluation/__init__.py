"""Submissions and, to come, the YouTube-VIS metric."""
