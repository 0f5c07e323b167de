_base_ = [
    '../_base_/models/tevit_r50.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/tevit_9200it.py',
    '../_base_/default_runtime.py',
]
