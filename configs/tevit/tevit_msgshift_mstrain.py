_base_ = './tevit_msgshift.py'

data = dict(train=dict(pipeline=dict(resize=dict(multiscale_mode='value'))))
