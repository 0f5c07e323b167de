_base_ = './tevit_r50.py'

data = dict(train=dict(pipeline=dict(resize=dict(multiscale_mode='value'))))
