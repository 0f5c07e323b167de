# Mask2Former-VIS: queries that stand for an object in all frames of a clip, trained on clips of two
# frames; a video is one clip.
_base_ = './mask2former_r50_ytvis19.py'

model = dict(panoptic_head=dict(type='Mask2FormerClipHead'))
data = dict(train=dict(clip_length=2))
