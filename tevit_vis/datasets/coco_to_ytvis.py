"""Tables that map the names of COCO categories to those of YouTube-VIS."""

COCO_TO_YTVIS2019 = {
    'person': 'person',
    'bicycle': 'motorbike',
    'car': 'sedan',
    'motorcycle': 'motorbike',
    'airplane': 'airplane',
    'train': 'train',
    'truck': 'truck',
    'boat': 'boat',
    'cat': 'cat',
    'dog': 'dog',
    'horse': 'horse',
    'cow': 'cow',
    'elephant': 'elephant',
    'bear': 'bear',
    'zebra': 'zebra',
    'giraffe': 'giraffe',
    'snowboard': 'snowboard',
    'skateboard': 'skateboard',
    'surfboard': 'surfboard',
    'tennis racket': 'tennis_racket',
}
COCO_TO_YTVIS2021 = {**COCO_TO_YTVIS2019, 'car': 'car', 'bird': 'bird', 'frisbee': 'flying_disc'}
# The names of COCO's classes in the public data sets. COCO's mouse is a computer mouse.
CATEGORY_MAPS = {
    'ytvis2019': COCO_TO_YTVIS2019,
    'ytvis2021': COCO_TO_YTVIS2021,
    # SeqFormer's code also maps COCO's mouse, with the category id of the 2021 mouse: in 2019 that
    # is the id of the fox.
    'ytvis2019_official': {**COCO_TO_YTVIS2019, 'mouse': 'fox'},
    'ytvis2021_official': {
        **{name: target for name, target in COCO_TO_YTVIS2021.items() if name != 'frisbee'},
        'mouse': 'mouse',
    },
}
