# mmdet's mask2former_r50_lsj_8x2_50e_coco, whose checkpoint loads as it is.
_base_ = [
    '../_base_/models/mask2former_r50.py',
    '../_base_/datasets/coco_images_lsj.py',
    '../_base_/schedules/mask2former_50e.py',
    '../_base_/default_runtime.py',
]
