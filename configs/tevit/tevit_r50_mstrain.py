_base_ = './tevit_r50.py'

data = dict(train=dict(pipeline={{_base_.multiscale_train_pipeline}}))
