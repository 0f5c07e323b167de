_base_ = './tevit_msgshift.py'

data = dict(train=dict(pipeline={{_base_.multiscale_train_pipeline}}))
