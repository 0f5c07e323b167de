# Second part of the curriculum: clips, started from the weights of tevit_tiny_images.
_base_ = './tevit_tiny.py'

load_from = 'work_dirs/tevit_tiny_images/latest.pth'
