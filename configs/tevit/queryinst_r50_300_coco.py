_base_ = './queryinst_r50_coco.py'

model = dict(
    rpn_head=dict(num_proposals=300),
    test_cfg=dict(rcnn=dict(max_per_img=300)),
)
