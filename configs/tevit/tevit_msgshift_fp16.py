_base_ = './tevit_msgshift.py'

amp = 'fp16'
