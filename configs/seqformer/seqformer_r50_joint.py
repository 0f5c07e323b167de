_base_ = [
    '../_base_/models/seqformer_r50.py',
    '../_base_/datasets/youtube_vis_2019_coco.py',
    '../_base_/schedules/seqformer_12e.py',
    '../_base_/default_runtime.py',
]
