# QueryInst on COCO, whose weights TeViT starts from: TeViT on single images, without attention
# along time. The checkpoints of mmdet's zoo load as they are. Recipe of mmdet's
# queryinst_r50_fpn_mstrain_480-800_3x_coco: 16 images a step, 36 epochs of 117,266 images.
_base_ = [
    '../_base_/models/tevit_r50.py',
    '../_base_/datasets/coco_images.py',
    '../_base_/schedules/tevit_9200it.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(with_time=False, num_classes=80),
    test_cfg=dict(
        rcnn=dict(max_per_img=100),
        # Frames are linked by the embeddings of their instances, by CTVIS's rule.
        windows=dict(length=1, stride=1),
        tracker=dict(_delete_=True, type='QueryLinker', min_score=0.05),
    ),
)
optimizer = dict(lr=1e-4)
lr_config = dict(step=[197886, 241861], warmup_iters=1000)
runner = dict(max_iters=263848)
checkpoint_config = dict(interval=7329)
evaluation = dict(interval=7329)
