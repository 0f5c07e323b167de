# YouTube-VIS 2019, and as pseudo clips the images of COCO with categories that both have.
_base_ = './youtube_vis_2019_short_side.py'

coco_root = 'data/coco/'
data = dict(
    train=dict(
        _delete_=True,
        type='JointDataset',
        datasets=[
            dict(
                type='YouTubeVISDataset',
                ann_file={{_base_.data.train.ann_file}},
                img_prefix={{_base_.data.train.img_prefix}},
                categories={{_base_.categories}},
                annotated_only={{_base_.data.train.annotated_only}},
                clip_length={{_base_.data.train.clip_length}},
                clip_sampler={{_base_.data.train.clip_sampler}},
                pipeline={{_base_.train_pipeline}},
            ),
            dict(
                type='CocoClipDataset',
                ann_file=coco_root + 'annotations/instances_train2017.json',
                img_prefix=coco_root + 'train2017/',
                categories={{_base_.categories}},
                category_map='ytvis2019',  # 'ytvis2019_official' maps one category wrongly
                clip_length={{_base_.data.train.clip_length}},
                pipeline=[
                    {{_base_.load_image}},
                    {{_base_.load_annotations}},
                    {{_base_.flip}},
                    {{_base_.resize_or_crop}},
                    {{_base_.normalize}},
                    {{_base_.pad}},
                    {{_base_.bundle}},
                    {{_base_.collect_train}},
                ],
            ),
        ],
    ),
)
